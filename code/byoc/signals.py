"""SIGTERM as a flag. SageMaker sends it 120 seconds before SIGKILL."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NOTHING_TO_SAVE = "stopped before the first step: there is nothing to save"


class Stopped(BaseException):
    """The job was asked to stop at a point where leaving loses nothing; the message may state its progress.

    Not an Exception, so that no handler on the way up mistakes it for a failure.
    """


class StopFlag:
    """Whether the job was asked to stop; ``requested`` is True after the signal."""

    def __init__(self) -> None:
        self.requested = False
        self._raises = False
        self._number = signal.SIGTERM

    def listen(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Handle the signal until the program ends; in the main thread only.

        The parent may have blocked the signal; one that arrived early is delivered here.
        """
        self._number = number
        signal.signal(number, self._handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})

    def ignore(self) -> None:
        """Ignore the signal from now on.

        Python removes its handlers before it exits, so that a late signal would kill a finished job.
        """
        signal.signal(self._number, signal.SIG_IGN)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise ``Stopped`` inside the block as soon as the signal arrives, also if it arrived before."""
        self._raises = True
        try:
            self._check()
            yield
            # An exception raised by the handler inside a __del__ is lost.
            self._check()
        finally:
            self._raises = False

    def _check(self) -> None:
        if self.requested:
            raise Stopped

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._raises:
            raise Stopped
