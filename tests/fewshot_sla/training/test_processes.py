"""Several processes: who started them, and running statistics that are the same however many there are."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.training.processes import StepBuffers, check_launcher

TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2"}
SRUN = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "message"),
    [
        (TORCHRUN, 1, 1, "torchrun started 2 processes, but --devices .1. times --num_nodes .1. is 1"),
        (TORCHRUN, 2, 2, "torchrun started 2 processes, but .* is 4"),
        (SRUN, 1, 1, "srun started 4 processes, but .* is 1"),
    ],
)
def test_a_launcher_of_other_processes_is_refused(
    environment: dict[str, str], devices: int, nodes: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_launcher(devices, nodes, environment)


@pytest.mark.parametrize(
    ("environment", "devices", "nodes"),
    [
        ({}, 1, 1),
        ({}, 2, 1),  # Fabric starts the second one itself, and sets WORLD_SIZE for it
        ({"WORLD_SIZE": "2"}, 2, 1),
        (TORCHRUN, 2, 1),
        (TORCHRUN, 1, 2),
        (SRUN, 2, 2),
        ({**SRUN, "SLURM_JOB_NAME": "bash"}, 1, 1),  # within an allocation, but not by srun
    ],
)
def test_all_else_is_let_pass(environment: dict[str, str], devices: int, nodes: int) -> None:
    check_launcher(devices, nodes, environment)


def buffers_of(model: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in model.buffers()]


def small_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5))


def train_steps(
    model: nn.Module, batches: Tensor, processes: int = 1, others: list[list[Tensor]] | None = None
) -> None:
    """Steps of forward passes; ``batches`` [steps, passes, B, 3, H, W]; ``others``: what the other processes send."""
    sums = iter(others or [])

    def all_reduce(flat: Tensor, reduce_op: str) -> Tensor:
        assert reduce_op == "sum"
        return flat + sum(next(sums)) if others else flat

    fabric: Any = SimpleNamespace(world_size=processes, all_reduce=all_reduce)
    buffers = StepBuffers(model, batches.shape[1], fabric)
    for step in batches:
        with buffers.step():
            for batch in step:
                with buffers.one_pass():
                    model(batch).sum().backward()


def test_the_formula() -> None:
    """One BatchNorm: r + mean over passes of (r_p - r), with r_p = 0.9 r + 0.1 times the statistic of the pass."""
    model, batches = nn.BatchNorm2d(3), torch.randn(2, 3, 8, 3, 5, 5)
    mean, variance = torch.zeros(3), torch.ones(3)
    for step in batches:
        mean = 0.9 * mean + 0.1 * torch.stack([batch.mean((0, 2, 3)) for batch in step]).mean(0)
        variance = 0.9 * variance + 0.1 * torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in step]).mean(
            0
        )
    train_steps(model, batches)
    torch.testing.assert_close(model.running_mean, mean)
    torch.testing.assert_close(model.running_var, variance)
    assert int(model.num_batches_tracked) == 2


def test_neither_the_order_of_the_passes_nor_their_processes_have_a_say() -> None:
    batches = torch.randn(3, 4, 8, 3, 9, 9)
    alone, backwards = small_network(), small_network()
    train_steps(alone, batches)
    train_steps(backwards, batches.flip(1))
    for one, other in zip(alone.buffers(), backwards.buffers(), strict=True):
        torch.testing.assert_close(one, other)
    # Two processes with two passes each, played in turn: what each sends is recorded first.
    sent: list[list[Tensor]] = []
    for half in (batches[:, :2], batches[:, 2:]):
        record: list[Tensor] = []
        fabric: Any = SimpleNamespace(
            world_size=2, all_reduce=lambda flat, reduce_op, record=record: record.append(flat) or flat
        )
        model = small_network()
        buffers = StepBuffers(model, 2, fabric)
        with buffers.step():
            for batch in half[0]:
                with buffers.one_pass():
                    model(batch)
        sent.append(record)
    both = small_network()
    train_steps(both, batches[:1, :2], processes=2, others=[[sent[1][0]]])
    once = small_network()
    train_steps(once, batches[:1])
    for one, other in zip(both.buffers(), once.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_one_pass_in_all_is_left_alone_to_the_bit() -> None:
    batches = torch.randn(3, 1, 8, 3, 9, 9)
    plain, watched = small_network(), small_network()
    for step in batches:
        plain(step[0])
    train_steps(watched, batches)
    assert all(map(torch.equal, plain.buffers(), watched.buffers()))


def test_what_does_not_move_stays_to_the_bit() -> None:
    model = small_network()
    model.register_buffer("constant", torch.tensor([0.1, 1 / 3]))
    train_steps(model, torch.randn(2, 3, 8, 3, 9, 9))
    assert torch.equal(model.constant, torch.tensor([0.1, 1 / 3]))
