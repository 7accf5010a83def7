"""Whatever maps an episode to query logits."""
