"""What a report of runs shows of a few-shot run."""
