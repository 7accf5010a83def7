"""Four real processes that are two teams: who hears whom."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn

from episodes.errors import UserError
from fewshot_sla.training.processes import check_together
from fewshot_sla.training.sharing import Sharing
from fewshot_sla.training.synced_batchnorm import SyncedBatchNorm
from fewshot_sla.training.team import Team, form_team

PROCESSES, PASSES, ITEMS = 4, 2, 3  # of each pass one process has one image, the other two


class _Fabric:
    """What check_together asks of one."""

    world_size, device = PROCESSES, torch.device("cpu")

    def all_gather(self, values: torch.Tensor) -> torch.Tensor:
        gathered = [torch.empty_like(values) for _ in range(PROCESSES)]
        distributed.all_gather(gathered, values)
        return torch.stack(gathered)


def images_of(number: int) -> torch.Tensor:
    """Of a pass."""
    return torch.randn(ITEMS, 2, 4, 4, generator=torch.Generator().manual_seed(number)).double()


def member(rank: int, folder: str, device: str) -> None:
    """One process: what it found goes to a file."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    sharing = Sharing(ITEMS, PASSES, PROCESSES, rank)
    team = form_team(sharing, 60)
    assert copy.deepcopy(team) is team
    found: dict[str, Any] = {"sum": float(team.sum(torch.tensor(10.0**rank, device=device)))}
    layer = SyncedBatchNorm(nn.BatchNorm2d(2).double().to(device), team)
    inputs = images_of(sharing.number(0))[sharing.part].to(device).requires_grad_()
    outputs = layer(inputs)
    outputs.pow(3).sum().backward()
    found |= {"outputs": outputs.detach().cpu(), "gradient": inputs.grad, "variance": layer.running_var}
    fabric: Any = _Fabric()
    check_together(fabric, 7)
    try:
        check_together(fabric, 7 * (rank < 3))
    except UserError as error:
        found["message"] = str(error)
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def run_members(folder: Path, device: str, method: str) -> list[dict[str, Any]]:
    multiprocessing.start_processes(member, (str(folder), device), nprocs=PROCESSES, start_method=method)
    return [torch.load(folder / f"{rank}.pt", map_location="cpu") for rank in range(PROCESSES)]


def assert_teams(found: list[dict[str, Any]]) -> None:
    assert [one["sum"] for one in found] == [11, 11, 1100, 1100]
    for number in range(PASSES):
        pair = found[2 * number : 2 * number + 2]
        assert [len(one["outputs"]) for one in pair] == [1, 2]
        layer, inputs = nn.BatchNorm2d(2).double(), images_of(number).requires_grad_()
        outputs = layer(inputs)
        outputs.pow(3).sum().backward()
        torch.testing.assert_close(torch.cat([one["outputs"] for one in pair]), outputs.detach())
        torch.testing.assert_close(torch.cat([one["gradient"] for one in pair]), inputs.grad)
        torch.testing.assert_close(pair[0]["variance"], layer.running_var)
        assert torch.equal(pair[0]["variance"], pair[1]["variance"])


def test_members_of_a_team_hear_one_another_and_nobody_else(tmp_path: Path) -> None:
    found = run_members(tmp_path, "cpu", "fork")
    assert_teams(found)
    # Who resumes where another process starts anew is found out by both.
    assert len({one["message"] for one in found}) == 1
    assert (
        "different steps of the run (from 0 to 7); --run_folder must be a folder that every machine"
        in found[0]["message"]
    )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_teams_on_a_gpu(tmp_path: Path) -> None:
    assert_teams(run_members(tmp_path, "cuda", "spawn"))


def test_one_process_is_a_team_that_talks_to_nobody() -> None:
    values = torch.randn(3, requires_grad=True)
    assert torch.equal(Team().gather(values), values.detach().unsqueeze(0))
    assert not Team().sum(values).requires_grad
