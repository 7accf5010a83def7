"""What every head must satisfy, as checks that run on any head class and return results instead of raising."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from episodes.errors import UserError, first_line
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.base import Head
from fewshot_sla.heads.conformance_problems import HeadProblem, Trial

SAME = 1e-6
"""Relative difference, in float64, up to which two ways to the same logits agree."""
SAME_FLOAT32 = 1e-5
"""The same between two runs in float32; arithmetic in bfloat16 would be off by 1e-2."""
ACROSS_PRECISIONS = 1e-2
"""The same between float32 and float64."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check: its name, what came of it, and what was seen."""

    name: str
    outcome: Literal["ok", "exempt", "FAILED"]
    detail: str

    @property
    def passed(self) -> bool:
        """Whether the head keeps the contract here: it passed, or it need not."""
        return self.outcome != "FAILED"


Check = Callable[[Trial], tuple[bool, str]]


def run_checks(
    make_head: Callable[[], Head],
    device: torch.device | str = "cpu",
    features: FeatureShape | None = None,
) -> list[CheckResult]:
    """Run every check on a head of its own.

    Args:
        make_head: a head class, or anything that makes a head when called without arguments.
        device: where to run.
        features: shape of the features; by default what the head is to be tried on.

    Raises:
        UserError: there is no such device, or the head is exempt from a check that does not exist.
    """
    try:
        where = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise UserError(f"cannot use device {device}: {first_line(error)}") from error
    checks = checks_of(make_head)
    return [_run(name, check, make_head, where, features) for name, check in checks.items()]


def checks_of(make_head: Callable[[], Head]) -> dict[str, Check]:
    """The checks that a head is given: in place of independent queries, a transductive one has them in any order.

    Raises:
        UserError: it is exempt from a check that it is not given.
    """
    try:
        head = make_head()
    except Exception:  # noqa: BLE001 -- every check will say so
        return {name: check for name, check in CHECKS.items() if check is not queries_in_any_order}
    other = query_independence if head.transductive else queries_in_any_order
    checks = {name: check for name, check in CHECKS.items() if check is not other}
    for name in sorted(head.exempt - checks.keys()):
        raise UserError(f"{type(head).__name__} is exempt from {name!r}, which is none of {', '.join(checks)}")
    return checks


def _run(
    name: str, check: Check, make_head: Callable[[], Head], device: torch.device, features: FeatureShape | None
) -> CheckResult:
    exempt = False
    try:
        head = make_head()
        exempt = name in head.exempt
        passed, detail = check(Trial(head, device, features or head.tried_on))
    except Exception as error:  # noqa: BLE001 -- whatever a stranger's head raises is the finding, not a crash of ours
        text = str(error).strip().splitlines()
        passed, detail = False, f"raised {type(error).__name__}: {text[0] if text else ''}".rstrip(": ")
    if exempt and passed:
        return CheckResult(name, "FAILED", f"the head is exempt, but would pass ({detail}): take it out of `exempt`")
    return CheckResult(name, "exempt" if exempt else "ok" if passed else "FAILED", detail)


def shape_and_dtype(trial: Trial) -> tuple[bool, str]:
    """Logits are [T, R, W] in the dtype of the features."""
    problem = trial.problem(ways=4, shots=(2,) * 4, queries=5)
    for dtype in (torch.float32, torch.float64):
        logits = trial.logits(problem, dtype)
        if tuple(logits.shape) != (3, 5, 4) or logits.dtype != dtype:
            return False, f"got {list(logits.shape)} {logits.dtype}, expected [3, 5, 4] {dtype}"
    return True, "[T, R, W] in float32 and float64"


def finite(trial: Trial) -> tuple[bool, str]:
    """No NaN or infinity, also where all support rows are equal or zero."""
    problem = trial.problem(ways=4, shots=(2,) * 4)
    head = trial.head(problem)
    equal = problem.support[:, :1].expand_as(problem.support).contiguous()
    cases = {"ordinary": problem.support, "equal": equal, "zero": torch.zeros_like(problem.support)}
    for name, support in cases.items():
        if not bool(torch.isfinite(head(support, problem.labels, problem.query, problem.ways)).all()):
            return False, f"logits are not finite on {name} support features"
    return True, "also on equal and on zero support features"


def deterministic(trial: Trial) -> tuple[bool, str]:
    """The same inputs give the same logits, whatever the head saw in between."""
    problem, other = (trial.problem(seed=seed) for seed in (0, 1))
    head = trial.head(problem)
    first = head(*problem.arguments)
    head(*other.arguments)
    return _agree(head(*problem.arguments), first, SAME_FLOAT32)


def label_permutation(trial: Trial) -> tuple[bool, str]:
    """Renaming the classes permutes the columns of the logits and does nothing else."""
    problem, head = _double(trial)
    renamed = torch.tensor([2, 0, 4, 1, 3], device=trial.device)
    logits = head(problem.support, renamed[problem.labels], problem.query, problem.ways)
    return _agree(logits[..., renamed], head(*problem.arguments), SAME)


def row_order(trial: Trial) -> tuple[bool, str]:
    """The order of the support rows does not matter."""
    problem, head = _double(trial)
    order = _shuffled(problem.labels.shape[1], trial.device)
    logits = head(problem.support[:, order], problem.labels[:, order], problem.query, problem.ways)
    return _agree(logits, head(*problem.arguments), SAME)


def query_independence(trial: Trial) -> tuple[bool, str]:
    """A query gets the same logits alone as among others."""
    problem, head = _double(trial)
    alone = head(problem.support, problem.labels, problem.query[:, 2:3], problem.ways)
    return _agree(alone, head(*problem.arguments)[:, 2:3], SAME)


def queries_in_any_order(trial: Trial) -> tuple[bool, str]:
    """Of a transductive head: the order of the queries does not matter."""
    problem, head = _double(trial)
    order = _shuffled(problem.query.shape[1], trial.device)
    logits = head(problem.support, problem.labels, problem.query[:, order], problem.ways)
    return _agree(logits, head(*problem.arguments)[:, order], SAME)


def episode_independence(trial: Trial) -> tuple[bool, str]:
    """An episode gets the same logits alone (T = 1) as in a batch (T = 3)."""
    problem, head = _double(trial)
    alone = head(problem.support[1:2], problem.labels[1:2], problem.query[1:2], problem.ways)
    return _agree(alone, head(*problem.arguments)[1:2], SAME)


def uneven_shots(trial: Trial) -> tuple[bool, str]:
    """Classes may have 1, 2 or 7 support rows, and others in the next episode."""
    problem = trial.problem(episodes=1, ways=4, shots=(1, 7, 2, 4))
    other = trial.problem(episodes=1, ways=4, shots=(5, 1, 6, 2), seed=1)
    both = problem.stack(other)
    together = trial.logits(both, torch.float64)
    passed, detail = _agree(together[1:], trial.logits(other, torch.float64), SAME)
    hits = _accuracy(together, both)
    if "learns" in trial.made.exempt:  # no accuracy can be asked for
        return passed, detail
    return passed and hits > 0.9, f"{detail}; accuracy {hits:.2f}"


def gradients(trial: Trial) -> tuple[bool, str]:
    """Gradients of support, query and parameters are finite and match central differences in float64."""
    problem = trial.problem(ways=3, shots=(2,) * 3, queries=4, dimension=6).to(torch.float64)
    head = trial.head(problem, torch.float64)
    parameters = {name: value for name, value in head.named_parameters() if value.requires_grad}
    inputs = {"support": problem.support.requires_grad_(), "query": problem.query.requires_grad_(), **parameters}
    generator = torch.Generator().manual_seed(5)
    weights = _random_like(head(*problem.arguments), generator)

    def loss() -> Tensor:
        return (head(*problem.arguments) * weights).sum()

    computed = torch.autograd.grad(loss(), list(inputs.values()), allow_unused=True)
    worst = 0.0
    for (name, value), gradient in zip(inputs.items(), computed, strict=True):
        if gradient is None:
            return False, f"no gradient reaches {name}"
        direction = _random_like(value, generator)
        slope = _central_difference(loss, value, direction)
        error = abs(float((gradient * direction).sum()) - slope) / max(abs(slope), 1e-3)
        if not error <= 1e-3:  # catches NaN too
            return False, f"gradient of {name} is off the finite difference by {error:.1e} of it"
        worst = max(worst, error)
    return True, f"support, query, {len(parameters)} parameters: within {worst:.0e} of finite differences"


def precision(trial: Trial) -> tuple[bool, str]:
    """float32 agrees with float64."""
    problem = trial.problem()
    return _agree(trial.logits(problem).double(), trial.logits(problem, torch.float64), ACROSS_PRECISIONS)


def half_precision(trial: Trial) -> tuple[bool, str]:
    """bfloat16 features, inside autocast too, are computed on in float32."""
    problem = trial.problem().to(torch.bfloat16)
    head = trial.head(problem)
    expected = head(*problem.to(torch.float32).arguments)
    with torch.autocast(trial.device.type, dtype=torch.bfloat16):
        inside = head(*problem.arguments)
    outside = head(*problem.arguments)
    if {inside.dtype, outside.dtype} != {torch.float32}:
        return False, f"logits are {inside.dtype} inside autocast and {outside.dtype} outside, expected float32"
    passed, detail = _agree(inside, expected, SAME_FLOAT32)
    return _agree(outside, expected, SAME_FLOAT32) if passed else (passed, detail)


def many_ways(trial: Trial) -> tuple[bool, str]:
    """Twenty classes, as five with four rotations make, are told apart."""
    problem = trial.problem(episodes=1, ways=20, shots=(1,) * 20, queries=40, dimension=64)
    hits = _accuracy(trial.logits(problem), problem)
    return hits > 0.9, f"accuracy {hits:.2f} in 20-way 1-shot, well separated"


def learns(trial: Trial) -> tuple[bool, str]:
    """Well separated classes are told apart."""
    problem = trial.problem(queries=20)
    hits = _accuracy(trial.logits(problem), problem)
    return hits > 0.9, f"accuracy {hits:.2f} in 5-way 5-shot, well separated"


CHECKS: dict[str, Check] = {
    check.__name__.replace("_", " "): check
    for check in (
        shape_and_dtype,
        finite,
        deterministic,
        label_permutation,
        row_order,
        query_independence,
        queries_in_any_order,
        episode_independence,
        uneven_shots,
        gradients,
        precision,
        half_precision,
        many_ways,
        learns,
    )
}
"""Name of each check and the check; the first line of its docstring says what it demands."""


def _double(trial: Trial) -> tuple[HeadProblem, Head]:
    problem = trial.problem().to(torch.float64)
    return problem, trial.head(problem, torch.float64)


def _shuffled(rows: int, device: torch.device) -> Tensor:
    return torch.randperm(rows, generator=torch.Generator().manual_seed(3)).to(device)


def _agree(logits: Tensor, expected: Tensor, tolerance: float) -> tuple[bool, str]:
    """Compare relative to the spread of the expected logits; NaN never agrees."""
    if logits.shape != expected.shape:
        return False, f"got {list(logits.shape)}, expected {list(expected.shape)}"
    logits, expected = logits.detach(), expected.detach()
    spread = float((expected - expected.mean(-1, keepdim=True)).abs().max())
    difference = float((logits - expected).abs().max()) / max(spread, 1e-12)
    return difference <= tolerance, f"relative difference {difference:.0e}"


def _accuracy(logits: Tensor, problem: HeadProblem) -> float:
    return float((logits.detach().argmax(-1) == problem.query_labels).double().mean())


def _random_like(value: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(value.shape, generator=generator, dtype=value.dtype).to(value.device)


@torch.no_grad()
def _central_difference(loss: Callable[[], Tensor], value: Tensor, direction: Tensor, length: float = 1e-5) -> float:
    """Slope of the loss along a direction of `value`, which is moved in place and moved back.

    Moved as little in all, however many numbers it has: a step over the kinks of many ReLUs would show another slope.
    """
    original, step = value.clone(), length / float(direction.norm())
    value.copy_(original + step * direction)
    above = float(loss())
    value.copy_(original - step * direction)
    below = float(loss())
    value.copy_(original)
    return (above - below) / (2 * step)
