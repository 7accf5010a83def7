"""Where the workers of a study run: one file a way of starting them."""
