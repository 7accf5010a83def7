"""Counter-based random numbers: every number is a pure function of a seed and of where it is used.

There is no generator state to carry along, so whatever is drawn for episode i does not depend on what was drawn before,
in which batch, or by which process. The mixing function is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
"""

import numpy as np
from numpy.typing import NDArray

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: consecutive states never collide
_MASK = (1 << 64) - 1


def derive_seed(seed: int, *keys: int) -> int:
    """A seed for one use of a seed: ``derive_seed(seed, step)``; 0..2^63-1, the same on every machine.

    >>> derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(0, 2)
    True
    """
    state = np.uint64(seed & _MASK)
    for key in keys:
        state = _mix(_mix(np.asarray([state])) + np.asarray([key & _MASK], np.uint64) * _GOLDEN_GAMMA)[0]
    return int(state >> np.uint64(1))


def random_units(
    seed: int,
    streams: NDArray[np.int64],  # [T] numbers of independent streams, here of episodes
    draws: int,
) -> NDArray[np.float64]:  # [draws, T], uniform on [0, 1)
    """``draws`` uniform numbers of each stream; column t depends on (seed, streams[t]) alone."""
    root = _mix(np.asarray([seed & _MASK], np.uint64))
    state = _mix(root + streams.astype(np.uint64) * _GOLDEN_GAMMA)  # [T]
    counter = np.arange(1, draws + 1, dtype=np.uint64)[:, None]
    bits = _mix(state + counter * _GOLDEN_GAMMA)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def sample_without_replacement(
    units: NDArray[np.float64],  # [2 * k, ...] uniform on [0, 1)
    n: NDArray[np.int64],  # [...] sizes to sample from, each at least k
) -> NDArray[np.int64]:  # [k, ...] distinct numbers 0..n-1 in random order
    """k of n without replacement, for many n at once; every ordered choice is equally likely.

    Floyd's algorithm (Bentley and Floyd, CACM 1987) makes the choice in k steps whatever n is, and sorting k random
    keys puts it in random order.
    """
    k = len(units) // 2
    chosen = np.empty((k, *n.shape), np.int64)
    for i in range(k):
        last = n - k + i
        pick = (units[i] * (last + 1)).astype(np.int64)
        taken = (chosen[:i] == pick).any(axis=0)
        chosen[i] = np.where(taken, last, pick)
    return np.take_along_axis(chosen, units[k : 2 * k].argsort(axis=0), axis=0)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64: a bijection of 64 bits in which every input bit sways every output bit."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
