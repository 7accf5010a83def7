"""Who works on a cell: a lock of the operating system, and beside it what became of the cell so far."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal

from episodes.errors import UserError
from episodes.locks import locked
from fewshot_sla.runs.records import from_json, to_json, write_json
from fewshot_sla.studies.plan import Cell

MOST_DEATHS = 3  # workers that one cell may take with it before it is given up
_REMEMBERED = 5  # sessions
Outcome = Literal["", "done", "failed"]


@dataclass(frozen=True)
class History:
    """What one session, the time from the start of a study's command to its end, made of a cell.

    Attributes:
        begun: how often a worker took it.
        ended: how often a worker gave it back; the others died.
        outcome: "done", "failed", or nothing yet.
        message: why it failed.
    """

    begun: int = 0
    ended: int = 0
    outcome: str = ""
    message: str = ""

    @property
    def deaths(self) -> int:
        """Workers that died over it, if none works on it now."""
        return self.begun - self.ended


@contextmanager
def claim(cell: Cell) -> Iterator[bool]:
    """Have a cell for oneself for the time of the block; whether that is so.

    The lock is the operating system's, on a file opened for writing, so that it holds over NFS too. Who is killed gives
    it back at once; it is never broken by age, so a slow worker loses nothing.
    """
    path = cell.folder.path / ".claim"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, wait=False))
        except BlockingIOError:
            yield False
            return
        yield True


def history(cell: Cell, session: str) -> History:
    """What a session made of a cell."""
    with suppress(UserError):  # nothing yet, or damaged: then nothing is known
        return from_json(History, _sessions(cell).get(session), "")
    return History()


def done_by(cell: Cell) -> frozenset[str]:
    """The sessions that say that they did a cell."""
    entries = _sessions(cell).items()
    return frozenset(name for name, entry in entries if isinstance(entry, dict) and entry.get("outcome") == "done")


def take(cell: Cell, session: str) -> History:
    """Write down that a worker, who has the claim, begins; what was before."""
    before = history(cell, session)
    _remember(cell, session, replace(before, begun=before.begun + 1))
    return before


def give_back(cell: Cell, session: str, outcome: Outcome = "", message: str = "") -> None:
    """Write down how a worker, who still has the claim, ended."""
    now = history(cell, session)
    _remember(cell, session, replace(now, ended=now.ended + 1, outcome=outcome, message=message))


def settle(cell: Cell, session: str, outcome: Outcome, message: str = "") -> None:
    """Write down, with the claim but without having begun, that there is nothing to do, or nothing to be done."""
    _remember(cell, session, replace(history(cell, session), outcome=outcome, message=message))


def _remember(cell: Cell, session: str, entry: History) -> None:
    others = {name: other for name, other in _sessions(cell).items() if name != session}
    kept = dict(list(others.items())[1 - _REMEMBERED :])
    write_json(cell.folder.path / ".sessions.json", {**kept, session: to_json(entry)})


def _sessions(cell: Cell) -> dict[str, object]:
    try:
        document = json.loads((cell.folder.path / ".sessions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: then nothing is known
        return {}
    return document if isinstance(document, dict) else {}
