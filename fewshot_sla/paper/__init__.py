"""The paper as data and experiments: published figures, and what its pictures are drawn from."""
