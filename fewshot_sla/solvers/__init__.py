"""Linear algebra and quadratic programs, batched and differentiable; no learning in here."""
