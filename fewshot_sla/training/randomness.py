"""Randomness of a training step: a function of (seed, step, ...), so that nothing of it needs to be saved."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from episodes.randomness import derive_seed


@contextmanager
def seeded(seed: int, *keys: int, device: torch.device | None = None) -> Iterator[None]:
    """Inside, torch's generators start from a seed made of ``seed`` and ``keys``; outside they are as they were.

    Layers like dropout draw from torch's default generator and offer no other. This gives them numbers that depend on
    the step alone: a resumed run draws what the uninterrupted one draws, and nobody else's generator is disturbed.

    Args:
        seed: the seed of the run.
        keys: what the numbers are for, for instance the step and the pass.
        device: a CUDA device whose generator is meant too.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, *keys))
        yield


@contextmanager
def apart(place: int, *, device: torch.device | None = None) -> Iterator[None]:
    """Inside, torch's generators give each of several processes numbers of its own, though they stood alike before.

    For dropout in processes that divide a pass: alike, they would drop the same entries in every part.

    Args:
        place: number of this process.
        device: a CUDA device whose generator is meant too.
    """
    with seeded(int(torch.randint(2**62, ())), place, device=device):
        yield
