"""Studies: recipes times seeds, of either wing, trained and tested by one process or by many."""
