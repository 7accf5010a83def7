"""What a run leaves behind: its folder, checkpoints, measurements, results, and where they came from."""
