"""Letters drawn from fonts: which are chosen, how they are rendered, and a sheet to look at."""
