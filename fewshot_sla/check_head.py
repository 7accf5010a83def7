"""Check a head of one's own: ``python -m fewshot_sla.check_head package.module.MyHead --head.temperature 3``."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from episodes.errors import UserError
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.heads.base import Head
from fewshot_sla.heads.conformance import CheckResult, run_checks

FAILED = 1


@dataclass
class CheckHead:
    """What to check, and where.

    Args:
        head: the class, as package.module.MyHead; --head.NAME gives an argument of its constructor.
        device: where to run.
        features: shape of the features, as D or C,H,W, for instance 64,5,5; by default what the head is to be tried on:
            vectors of several sizes, and small maps for heads on feature maps.
    """

    head: Head
    device: str = "cpu"
    features: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run every check on a head of its own; 0 if all passed, 1 if one failed.

    Raises:
        UserError: if the head cannot be made, or there is no such device.
    """
    parser = configuration.build_parser(
        "python -m fewshot_sla.check_head",
        "Check that a head keeps the contract of fewshot_sla.heads.Head: permuted labels and rows, independent queries "
        "and episodes, uneven shots, gradients, precision. The head may also be given without --head, as first word.",
        CheckHead,
        config_option=False,
    )
    first_is_head = bool(arguments) and not arguments[0].startswith("-")
    with _in_one_line("cannot import the head"):
        options = configuration.parse(
            parser, [f"--head={arguments[0]}", *arguments[1:]] if first_is_head else arguments
        )

    def make_head() -> Head:
        with _in_one_line(f"cannot construct {options.head.class_path}"):
            return configuration.instantiate(parser, options, CheckHead).head

    features = _features(options.features)
    head = make_head()  # say now that it cannot be made, or cannot take the features, not as a failure of each check
    if features:
        head.told(features)
    results = run_checks(make_head, options.device, features)
    _show(options.head.class_path, results)
    return OK if all(result.passed for result in results) else FAILED


def _features(given: str) -> FeatureShape | None:
    if not given:
        return None
    try:
        numbers = [int(word) for word in given.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or min(numbers) < 1:
        raise UserError(f"--features must be D, or C,H,W of a feature map, got {given!r}; write 64,5,5 for instance")
    return FeatureShape(*numbers)


@contextmanager
def _in_one_line(problem: str) -> Iterator[None]:
    """Whatever a stranger's module or constructor raises is the user's to mend, and said as such."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{problem}: {type(error).__name__}: {error}") from error


def _show(class_path: str, results: list[CheckResult]) -> None:
    counts = Counter(result.outcome for result in results)
    exempt = f", {counts['exempt']} exempt" if counts["exempt"] else ""
    title = f"{class_path}: {counts['ok']} of {len(results)} checks passed{exempt}"
    if not sys.stdout.isatty():
        lines = [f"{r.outcome:<7}{r.name:<22}{r.detail}".rstrip() for r in results]
        sys.stdout.write("\n".join([*lines, title]) + "\n")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "check", "seen", title=escape(title))
    for result in results:
        color = {"ok": "green", "exempt": "yellow", "FAILED": "bold red"}[result.outcome]
        table.add_row(f"[{color}]{result.outcome}[/]", result.name, escape(result.detail))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(run_door(main))
