"""The training loop and everything that keeps a run safe: folders, checkpoints, schedules, progress."""
