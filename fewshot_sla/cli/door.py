"""What every command-line door has in common: one line for an error, and an exit code that says how it ended."""

import sys
from collections.abc import Callable, Mapping, Sequence

from episodes.errors import UserError
from fewshot_sla.cli.memory import keep_freed_memory
from fewshot_sla.solvers.errors import SolverError

OK, USER_ERROR, INTERRUPTED = 0, 2, 130
MENDABLE = (UserError, SolverError, OSError)  # what the user can mend; anything else that is raised is a defect of ours


def in_one_line(error: BaseException) -> str:
    """What a mendable error says.

    >>> in_one_line(FileNotFoundError(2, "No such file or directory", "a.png"))
    'a.png: No such file or directory'
    """
    if isinstance(error, OSError):  # a full disk, a folder that may not be written to
        return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"
    return " ".join(str(error).split())


def chosen(
    what: str,  # that is chosen, for instance "figure"
    kinds: Mapping[str, Callable[[Sequence[str]], int]],
    usage: str,
    arguments: Sequence[str],
) -> int:
    """Call the part of a door that the first argument names; show the usage if there is none, or --help.

    Raises:
        UserError: if there is no such part.
    """
    kind, *rest = arguments or ["--help"]
    if kind in ("-h", "--help"):
        sys.stdout.write(usage)
        return OK
    if kind not in kinds:
        raise UserError(f"no such {what}: {kind!r}; choose from {', '.join(kinds)}")
    return kinds[kind](rest)


def run_door(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Call a door's main function and turn what it raises into an exit code.

    0: done. 2: something the user can mend, said in one line on standard error, without a traceback.
    130: interrupted. Anything else that is raised is a defect of ours and keeps its traceback.

    Args:
        main: takes the command-line arguments, returns an exit code.
        arguments: by default those of this process.
    """
    keep_freed_memory()
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except MENDABLE as error:
        sys.stderr.write(f"error: {in_one_line(error)}\n")
        return USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
