"""Every head keeps the contract, and every check of the contract can fail."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from episodes.errors import UserError
from examples import my_head
from examples.auxiliary_loss import CompactHead
from examples.transductive_head import SoftKMeansHead
from fewshot_sla import check_head
from fewshot_sla.backbones import FeatureShape
from fewshot_sla.cli.door import run_door
from fewshot_sla.heads import (
    CosineHead,
    FEATHead,
    FRNHead,
    GradientHead,
    Head,
    LogisticRegressionHead,
    MapHead,
    MatchingHead,
    NormalizedHead,
    ProtoNetHead,
    R2D2Head,
    RelationHead,
    RidgeHead,
    SVMHead,
)
from fewshot_sla.heads.conformance import CHECKS, checks_of, run_checks
from fewshot_sla.heads.protonet import class_means, protonet_logits

ROOT = Path(__file__).parents[2]


def simpleshot() -> Head:
    """Nearest class mean of normalised features; D, and so the centre, differs from check to check."""
    return NormalizedHead(ProtoNetHead())


HEADS: list[Callable[[], Head]] = [
    ProtoNetHead,
    RidgeHead,
    SVMHead,
    R2D2Head,
    LogisticRegressionHead,
    CosineHead,
    MatchingHead,
    GradientHead,
    partial(GradientHead, first_order=True),
    FEATHead,
    FRNHead,
    RelationHead,
    simpleshot,
    my_head.CosineHead,
    CompactHead,
    SoftKMeansHead,
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Many small solves: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_passes_every_check(head: Callable[[], Head]) -> None:
    results = run_checks(head)
    assert [result.name for result in results] == list(checks_of(head))
    assert [f"{result.name}: {result.detail}" for result in results if not result.passed] == []
    assert {result.name for result in results if result.outcome == "exempt"} == head().exempt


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("head", HEADS)
def test_every_head_passes_every_check_on_a_gpu(head: Callable[[], Head]) -> None:
    assert [f"{r.name}: {r.detail}" for r in run_checks(head, "cuda") if not r.passed] == []


@settings(deadline=None, max_examples=10)
@given(
    st.sampled_from(HEADS), st.permutations(range(4)), st.lists(st.integers(1, 4), min_size=4, max_size=4), st.data()
)
def test_renaming_classes_and_shuffling_rows(
    make: Callable[[], Head], renamed: list[int], shots: list[int], data: st.DataObject
) -> None:
    labels = torch.arange(4).repeat_interleave(torch.tensor(shots))
    order = torch.tensor(data.draw(st.permutations(range(len(labels)))))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    support, query = (torch.randn(1, n, 6, generator=generator, dtype=torch.float64) for n in (len(labels), 3))
    rename = torch.tensor(renamed)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = make()
        head.told(FeatureShape(1, 2, 3) if isinstance(head, MapHead) else FeatureShape(6))
    head = head.double().eval()
    expected = head(support, labels[None], query, 4)
    logits = head(support[:, order], rename[labels][None, order], query, 4)
    torch.testing.assert_close(logits[..., rename], expected, rtol=1e-6, atol=1e-7)


class _Broken(Head):
    """A prototypical network with something wrong."""

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return protonet_logits(support, support_labels, query, ways)


class WrongShape(_Broken):
    def logits(self, *arguments: object) -> Tensor:
        return super().logits(*arguments).mT  # type: ignore[arg-type]


class SingleOnly(_Broken):
    def logits(self, *arguments: object) -> Tensor:
        return super().logits(*arguments).float()  # type: ignore[arg-type]


class DividesByZero(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return protonet_logits(support / support.norm(dim=-1, keepdim=True), support_labels, query, ways)


class Remembers(_Broken):
    calls = 0

    def logits(self, *arguments: object) -> Tensor:
        self.calls += 1
        return self.calls * super().logits(*arguments)  # type: ignore[arg-type]


class PrefersFirstClass(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        bias = torch.arange(ways, dtype=support.dtype, device=support.device)
        return super().logits(support, support_labels, query, ways) - 0.1 * bias


class AssumesRowOrder(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return super().logits(support, support_labels.sort(-1).values, query, ways)


class AssumesEqualShots(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        order = support_labels.argsort(-1, stable=True)
        ordered = support.gather(1, order[..., None].expand_as(support))
        means = ordered.unflatten(1, (ways, -1)).mean(2)
        return -torch.cdist(query, means).square()


class CentresQueries(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return super().logits(support, support_labels, query - 0.1 * query.mean(1, keepdim=True), ways)


class AssumesQueryOrder(_Broken):
    transductive = True

    def logits(self, *arguments: object) -> Tensor:
        return super().logits(*arguments).cumsum(1)  # type: ignore[arg-type]


class CouplesEpisodes(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        scale = support.std()  # over the whole batch
        return super().logits(support, support_labels, query, ways) / scale


class DetachesSupport(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return super().logits(support.detach(), support_labels, query, ways)


class HalfDetached(_Broken):
    """Gradients arrive everywhere, but part of one is missing."""

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        means = class_means(support, support_labels, ways)
        return 2 * query @ means.mT - means.detach().square().sum(-1)[:, None]


class UnusedParameter(_Broken):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(3))


class Cancels(_Broken):
    """Differences of large numbers: right in float64, noise in float32."""

    def logits(self, *arguments: object) -> Tensor:
        return (super().logits(*arguments) + 1e6) - 1e6  # type: ignore[arg-type]


class ForgetsAutocast(_Broken):
    """Replaces `forward` and with it the contract's conversion to float32."""

    def forward(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return protonet_logits(support, support_labels, query, ways)


class FiveWaysOnly(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        logits = super().logits(support, support_labels, query, ways)
        return logits if ways <= 5 else logits[..., :5].repeat(1, 1, ways // 5)


class IgnoresLabels(_Broken):
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return 0 * super().logits(support, support_labels, query, ways)


class Raises(_Broken):
    def logits(self, *arguments: object) -> Tensor:
        raise TypeError("not today")


BROKEN: list[tuple[Callable[[], Head], str]] = [
    (WrongShape, "shape and dtype"),
    (SingleOnly, "shape and dtype"),
    (DividesByZero, "finite"),
    (Remembers, "deterministic"),
    (PrefersFirstClass, "label permutation"),
    (AssumesRowOrder, "row order"),
    (AssumesEqualShots, "uneven shots"),
    (CentresQueries, "query independence"),
    (AssumesQueryOrder, "queries in any order"),
    (CouplesEpisodes, "episode independence"),
    (DetachesSupport, "gradients"),
    (HalfDetached, "gradients"),
    (UnusedParameter, "gradients"),
    (Cancels, "precision"),
    (ForgetsAutocast, "half precision"),
    (FiveWaysOnly, "many ways"),
    (IgnoresLabels, "learns"),
]


@pytest.mark.parametrize(("make", "check"), BROKEN)
def test_every_check_can_fail(make: Callable[[], Head], check: str) -> None:
    failed = {result.name for result in run_checks(make) if not result.passed}
    assert check in failed


def test_all_checks_were_shown_to_fail() -> None:
    assert {check for _, check in BROKEN} == set(CHECKS)


def test_the_template_of_the_broken_heads_is_sound() -> None:
    assert all(result.passed for result in run_checks(_Broken))


class CannotLearn(IgnoresLabels):
    exempt = frozenset({"learns", "many ways", "gradients"})


def test_what_a_head_is_exempt_from_is_said_and_must_fail() -> None:
    results = {result.name: result for result in run_checks(CannotLearn)}
    assert {name for name, result in results.items() if result.outcome == "exempt"} == {"learns", "many ways"}
    assert (results["gradients"].outcome, results["gradients"].passed) == ("FAILED", False)
    assert "exempt, but would pass" in results["gradients"].detail
    assert results["uneven shots"].passed  # of a head that need not learn no accuracy is asked
    with pytest.raises(UserError, match="is exempt from 'learning', which is none of shape and dtype"):
        run_checks(type("Misspelt", (_Broken,), {"exempt": frozenset({"learning"})}))


def test_what_a_head_raises_is_reported() -> None:
    assert {(r.passed, r.detail) for r in run_checks(Raises)} == {(False, "raised TypeError: not today")}


class Breaks(_Broken):
    def __init__(self) -> None:
        raise OSError("two\nlines")


def in_a_process(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fewshot_sla.check_head", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.mark.parametrize("how", [("examples.my_head.CosineHead",), ("--head", "examples.my_head.CosineHead")])
def test_command_on_a_good_head(how: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_door(check_head.main, [*how, "--head.temperature", "3"]) == 0
    assert f"{len(CHECKS) - 1} of {len(CHECKS) - 1} checks passed" in capsys.readouterr().out


def test_command_gives_the_head_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """A margin that nothing may violate overflows: the check that fails shows that C arrived."""
    assert run_door(check_head.main, ["fewshot_sla.heads.ProtoNetHead", "--head.scale=1e300"]) == 1
    assert "FAILED finite" in capsys.readouterr().out


def test_command_on_a_broken_head_in_another_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from fewshot_sla.heads import Head\n"
        "class Flat(Head):\n"
        "    def logits(self, support, support_labels, query, ways):\n"
        "        return query.new_zeros(*query.shape[:2], ways)\n"
    )
    result = in_a_process("mine.Flat", folder=tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    assert "FAILED learns" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.Head"], "No module named 'nowhere'"),
        (["MyHead"], "MyHead is not a known class; give its path"),
        (["fewshot_sla.heads.NoHead"], "unknown class 'NoHead' in head (module fewshot_sla.heads)"),
        (["json.JSONDecoder"], "json.JSONDecoder is not a Head"),
        (["fewshot_sla.heads.SVMHead", "--head.C=-1"], "C must be positive"),
        (["fewshot_sla.heads.SVMHead", "--head.D=1"], "unknown key 'D' in head"),
        (["fewshot_sla.heads.ProtoNetHead", "--device", "nonsense"], "cannot use device nonsense"),
        (["fewshot_sla.heads.Head"], "is abstract"),
        ([], "required: head"),
        (["fewshot_sla.heads.ProtoNetHead", "--features=64,5"], "--features must be D, or C,H,W of a feature map"),
        (["tests.contract.test_heads.Breaks"], "cannot construct tests.contract.test_heads.Breaks: OSError: two lines"),
    ],
)
def test_command_tells_users_errors_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_door(check_head.main, arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_command_on_a_module_that_breaks_while_it_is_imported(tmp_path: Path) -> None:
    """Exit code 1, which a traceback would give, means that a check failed."""
    (tmp_path / "mine.py").write_text("raise OSError('no disk')\n")
    result = in_a_process("mine.Flat", folder=tmp_path)
    assert (result.returncode, result.stderr) == (2, "error: cannot import the head: OSError: no disk\n")


def test_command_helps() -> None:
    result = in_a_process("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--head " in result.stdout
    assert "--device" in result.stdout
