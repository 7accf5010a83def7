"""Images that no class fits: how well the scores of a trained classifier tell them from those of its own classes."""
