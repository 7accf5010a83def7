"""The one error that a user is meant to read: what is wrong, where, and what to do, in one line."""


class UserError(ValueError):
    """Something the user gave cannot work; the message is one line that says what, where and what to do.

    Command-line doors print the message without a traceback and exit with code 2.
    """
