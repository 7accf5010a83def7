"""Check a head of one's own: ``python -m fewshot_sla.check_head package.module.MyHead --head.temperature 3``."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from episodes.errors import UserError
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
    """

    head: Head
    device: str = "cpu"


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

    make_head()  # say now that it cannot be made, not as a failure of each check
    results = run_checks(make_head, options.device)
    _show(options.head.class_path, results)
    return OK if all(result.passed for result in results) else FAILED


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
    passed = sum(result.passed for result in results)
    title = f"{class_path}: {passed} of {len(results)} checks passed"
    if not sys.stdout.isatty():
        lines = [f"{'ok' if r.passed else 'FAILED':<7}{r.name:<22}{r.detail}".rstrip() for r in results]
        sys.stdout.write("\n".join([*lines, title]) + "\n")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "check", "seen", title=escape(title))
    for result in results:
        mark = "[green]ok[/]" if result.passed else "[bold red]FAILED[/]"
        table.add_row(mark, result.name, escape(result.detail))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(run_door(main))
