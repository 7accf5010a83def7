"""Images, labels and indices: everything about episodes that knows nothing of models."""
