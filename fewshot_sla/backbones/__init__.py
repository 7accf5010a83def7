"""Networks that turn images [B, C, H, W] into features [B, D]."""
