"""The paper as data and experiments: published figures, and the toy behind joint labels."""
