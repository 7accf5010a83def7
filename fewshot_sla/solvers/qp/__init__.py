"""The generic dense quadratic program, batched and differentiable."""
