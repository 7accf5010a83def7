"""Ctrl-C, SIGTERM, and the signal by which a cluster announces the end of a job: finish the step, save, then stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# SIGUSR2 is what jobs ask SLURM for (--signal=USR2@90), and what submitit listens to; SLURM sends SIGTERM before it.
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name))


class Interrupted(Exception):  # noqa: N818 - not an error: someone asked for it
    """Training stopped because someone asked; everything is saved.

    Attributes:
        by: the signals that asked for it.
    """

    def __init__(self, message: str, by: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.by = by


class StopRequest:
    """Whether someone asked the job to stop.

    Attributes:
        by: the signals that did, in their order.
    """

    def __init__(self) -> None:
        self.by: tuple[int, ...] = ()

    @property
    def made(self) -> bool:
        """Whether a signal came."""
        return bool(self.by)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Inside, a signal of :data:`STOPPING` only makes the request; the same one a second time interrupts at once.

    Outside the main thread signals cannot be caught; there the request is never made.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if number in request.by:
            raise KeyboardInterrupt
        request.by = (*request.by, number)

    previous = {number: signal.signal(number, handle) for number in STOPPING}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            with suppress(TypeError):  # a handler that was not installed by Python cannot be put back
                signal.signal(number, handler)
