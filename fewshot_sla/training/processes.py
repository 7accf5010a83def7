"""Several processes that train together: what launched them, how they find one another, what they agree upon."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from episodes.errors import UserError, first_line

# Name of each launcher, a variable that it sets for every process it starts, and the one with their number.
_LAUNCHERS = (("torchrun", "TORCHELASTIC_RUN_ID", "WORLD_SIZE"), ("srun", "SLURM_PROCID", "SLURM_NTASKS"))


def check_launcher(devices: int, num_nodes: int, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a launcher that started another number of processes than the command line asks for.

    torchrun and srun start every process with the same command line. If that asks for fewer processes than there are,
    each would take itself for a training of its own, and all of them would write into one run folder.

    Args:
        devices: processes a machine, as asked for.
        num_nodes: machines, as asked for.
        environment: the environment variables.

    Raises:
        UserError: if the numbers differ.
    """
    for launcher, mark, count in _LAUNCHERS:
        interactive = launcher == "srun" and environment.get("SLURM_JOB_NAME") in ("bash", "interactive")
        if mark not in environment or interactive:
            continue
        started = int(environment.get(count) or 1)
        if started != devices * num_nodes:
            raise UserError(
                f"{launcher} started {started} processes, but --devices ({devices}) times --num_nodes ({num_nodes}) is "
                f"{devices * num_nodes}; give --devices as many as it starts on each machine, and --num_nodes machines"
            )


def launch(fabric: Fabric, wait: float) -> None:
    """Start the other processes and wait for all of them.

    Args:
        fabric: of this process, not launched yet.
        wait: seconds that the processes wait for one another, as the fabric was made with.

    Raises:
        UserError: if they do not all come.
    """
    try:
        fabric.launch()
    except (torch.distributed.DistError, TimeoutError) as error:
        place = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
        raise UserError(
            f"not all of the {fabric.world_size} processes met at {place} within {wait:g} seconds "
            f"({first_line(error)}); start the same command on every machine, or wait longer (--wait_s)"
        ) from error


def check_together(fabric: Fabric, step: int) -> None:
    """Refuse processes that do not stand at the same step of a run; all of them call this together.

    On machines that do not see the same run folder, those without it would start anew what the others resume.

    Args:
        fabric: the processes.
        step: at which this process stands.

    Raises:
        UserError: if another process stands at another step.
    """
    if fabric.world_size == 1:
        return
    steps = torch.as_tensor(fabric.all_gather(torch.tensor(step, device=fabric.device))).flatten().tolist()
    if len(set(steps)) > 1:
        raise UserError(
            f"the processes stand at different steps of the run (from {min(steps)} to {max(steps)}); --run_folder must "
            "be a folder that every machine sees, such as one on a shared disk"
        )


class StepBuffers:
    """Running statistics that move once a step, by the mean over the passes of all processes.

    A model's buffers (BatchNorm's running mean and variance) move with every forward pass in training mode. Here every
    pass of a step starts from the buffers r that the step began with, and the step leaves::

        r + mean over all passes p of (r_p - r)

    where r_p is what pass p alone made of them. So k processes give what one process gives, and neither the order of
    the passes nor how they are shared out has a say. Where several processes divide a pass, each brings its r_p: with
    synchronised BatchNorm these are equal. With one pass on one process, nothing is done.

    Args:
        model: whose buffers are meant.
        passes: forward passes of a step that this process takes part in.
        fabric: the processes.
    """

    def __init__(self, model: nn.Module, passes: int, fabric: Fabric) -> None:
        self._passes, self._fabric = passes, fabric
        buffers = list(model.buffers())
        self._floats = [buffer for buffer in buffers if buffer.is_floating_point()]
        self._others = [buffer for buffer in buffers if not buffer.is_floating_point()]  # counts: the same in each pass
        self._alone = passes * fabric.world_size == 1
        self._before: list[Tensor] = []
        self._moved: list[Tensor] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around all passes of a step."""
        if self._alone or not self._floats:
            yield
            return
        self._before = [buffer.clone() for buffer in (*self._floats, *self._others)]
        self._moved = [torch.zeros_like(buffer) for buffer in self._floats]
        yield
        means = self._over_processes(self._moved)
        for buffer, before, moved in zip(self._floats, self._before, means, strict=False):
            buffer.copy_(before + moved)

    @contextmanager
    def one_pass(self) -> Iterator[None]:
        """Around one pass, inside of :meth:`step`."""
        if self._alone or not self._floats:
            yield
            return
        for buffer, before in zip((*self._floats, *self._others), self._before, strict=True):
            buffer.copy_(before)
        yield
        for buffer, before, moved in zip(self._floats, self._before, self._moved, strict=False):
            moved.add_(buffer - before)

    def _over_processes(self, sums: list[Tensor]) -> list[Tensor]:
        """Means over all passes of all processes, by one message."""
        flat = torch.cat([moved.to(torch.float32).flatten() for moved in sums])
        flat = torch.as_tensor(self._fabric.all_reduce(flat, reduce_op="sum")) / (
            self._passes * self._fabric.world_size
        )
        parts = flat.split([moved.numel() for moved in sums])
        return [part.view_as(moved).to(moved.dtype) for part, moved in zip(parts, sums, strict=True)]
