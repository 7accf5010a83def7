"""The one error that a user is meant to read: what is wrong, where, and what to do, in one line; and parts of it."""

from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave cannot work; the message is one line that says what, where and what to do.

    Command-line doors print the message without a traceback and exit with code 2.
    """


def first_line(error: BaseException | str) -> str:
    """The first line of what an error says; the name of its type if it says nothing.

    >>> first_line(ValueError("cut off"))
    'cut off'
    >>> first_line(EOFError())
    'EOFError'

    Args:
        error: what another library raised, or what it said.
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def some(names: Iterable[object], most: int = 5) -> str:
    """The first names for a message, and how many more there are.

    >>> some(["cat", "dog", "owl"], most=2)
    'cat, dog and 1 more'

    Args:
        names: anything with a text.
        most: how many are written out.
    """
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
