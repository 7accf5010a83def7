"""What fits the support features of an episode and scores its queries: a pure function and a thin module a file."""
