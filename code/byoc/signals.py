"""Being told to stop: SIGTERM, which SageMaker sends 120 seconds before it kills."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """The job was told to stop where leaving at once loses nothing.

    No Exception, so that nothing on the way takes it for a failure. It may say where the job stands.
    """


class Stop:
    """Whether the job was told to stop.

    Attributes:
        requested: True from the signal on.
    """

    def __init__(self) -> None:
        self.requested = False
        self._leave_at_once = False
        self._number = signal.SIGTERM

    def listen(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Listen for a signal from here to the end of the program; in the main thread only.

        Whoever started the program may have blocked the signal, so that one that came too early is
        delivered here.
        """
        self._number = number
        signal.signal(number, self._request)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})

    def ignore(self) -> None:
        """Ignore the signal from here on: the program is about to end as it should.

        Python takes its handlers away before it ends, so that the signal would kill it.
        """
        signal.signal(self._number, signal.SIG_IGN)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In the block, leave as soon as the signal comes.

        Raises:
            Stopped: it came.
        """
        self._leave_at_once = True
        try:
            self._check()
            yield
            # Where Python cannot raise, in the removal of an object, the handler's exception is lost.
            self._check()
        finally:
            self._leave_at_once = False

    def _check(self) -> None:
        if self.requested:
            raise Stopped

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._leave_at_once:
            raise Stopped
