"""Numbers of one's own for processes whose generators stand alike."""

import torch
from torch import Tensor

from fewshot_sla.training.randomness import apart, seeded


def draws(step: int, place: int) -> list[Tensor]:
    """What a process draws for the whole pass, for its own part, and for the whole pass again."""
    with seeded(3, step):
        before = torch.rand(4)
        with apart(place):
            own = torch.rand(4)
        return [before, own, torch.rand(4)]


def test_only_what_is_drawn_apart_differs() -> None:
    first, second = draws(0, 0), draws(0, 1)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    assert torch.equal(first[2], second[2])
    assert all(map(torch.equal, first, draws(0, 0)))
    assert not torch.equal(first[1], draws(1, 0)[1])  # another step, other numbers


def test_who_draws_apart_twice_draws_anew() -> None:
    with seeded(3, 0):
        drawn = []
        for _ in range(2):
            with apart(0):
                drawn.append(torch.rand(4))
    assert not torch.equal(*drawn)
