"""The pictures of the paper: what is measured for each, how it is drawn, and the numbers beside it."""
