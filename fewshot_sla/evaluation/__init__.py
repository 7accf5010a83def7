"""Embedding each view once, 1000 episodes on cached features, intervals and paired comparison."""
