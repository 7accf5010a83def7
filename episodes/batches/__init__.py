"""Batches of ordinary training, by number, of images in memory or in files."""
