"""Check a head of one's own: ``python -m fewshot_sla.check_head package.module.MyHead``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fewshot_sla.heads.conformance import CheckResult


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every check passed, 1 if one failed, 2 if the head cannot be made."""
    options = _parser().parse_args(arguments)
    # Imported now, so that --help does not wait for torch.
    from episodes.errors import UserError
    from fewshot_sla.heads.class_path import head_factory
    from fewshot_sla.heads.conformance import run_checks

    working_directory = str(Path.cwd())
    if working_directory not in sys.path:
        sys.path.insert(0, working_directory)
    try:
        make_head = head_factory(options.class_path, options.init_args)
        results = run_checks(make_head, options.device)
    except UserError as error:
        sys.stderr.write(f"check_head: {error}\n")
        return 2
    _show(options.class_path, results)
    return 0 if all(result.passed for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fewshot_sla.check_head",
        description="Check that a head keeps the contract of fewshot_sla.heads.Head: permuted labels and rows, "
        "independent queries and episodes, uneven shots, gradients, precision.",
    )
    parser.add_argument("class_path", help="dotted path of the class, for instance examples.my_head.CosineHead")
    parser.add_argument("--init_args", default="{}", help="JSON object of constructor arguments, e.g. '{\"scale\": 2}'")
    parser.add_argument("--device", default="cpu", help="where to run (default: cpu)")
    return parser


def _show(class_path: str, results: "list[CheckResult]") -> None:
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
    sys.exit(main())
