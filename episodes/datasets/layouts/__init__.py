"""The forms in which people have the published data sets, and the lists of their classes."""
