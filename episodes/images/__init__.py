"""Images as bytes, in memory or in files: reading, augmentation, normalisation, and where the bytes live."""
