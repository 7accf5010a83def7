"""One reader a file; each makes LabelledImages out of what users have."""
