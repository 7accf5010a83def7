"""Pictures of one's own: a few labelled images in, the classes of others out, without training."""
