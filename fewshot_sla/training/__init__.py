"""The training loop and all that training of any kind needs."""
