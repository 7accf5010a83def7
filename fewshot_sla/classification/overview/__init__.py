"""What a report of runs shows of a classifier."""
