"""The overview of runs, one page: what was trained and what came of it, drawn from plain data that the wings give."""
