"""Being told to stop."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from byoc.signals import StopFlag, Stopped
from tests.support.programs import environment


@pytest.fixture
def stop() -> Iterator[StopFlag]:
    before = signal.getsignal(signal.SIGTERM)
    listening = StopFlag()
    listening.listen()
    yield listening
    signal.signal(signal.SIGTERM, before)


def send() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_signal_is_a_request_and_no_end(stop: StopFlag) -> None:
    assert not stop.requested
    send()
    assert stop.requested


def test_signal_ends_what_can_be_left_at_once(stop: StopFlag) -> None:
    reached = []
    with contextlib.suppress(Stopped), stop.interruptible():
        send()
        reached.append("the end")
    assert stop.requested
    assert not reached


def test_what_can_be_left_at_once_does_not_start_after_the_signal(stop: StopFlag) -> None:
    send()
    with pytest.raises(Stopped), stop.interruptible():
        pytest.fail("the block was entered")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_in_the_removal_of_an_object_is_not_lost(stop: StopFlag) -> None:
    class Removed:
        def __del__(self) -> None:
            send()

    with pytest.raises(Stopped), stop.interruptible():
        Removed()


def test_after_the_block_the_signal_is_only_a_request(stop: StopFlag) -> None:
    with stop.interruptible():
        pass
    send()
    assert stop.requested


def test_signal_while_the_program_ends_does_not_kill_it(tmp_path: Path) -> None:
    program = """
import builtins, os, signal
from byoc.signals import StopFlag
stop = StopFlag()
stop.listen()
stop.ignore()
class Last:
    def __del__(self):
        signal_number, kill, pid = self.what
        kill(pid, signal_number)
last = Last()
last.what = (signal.SIGTERM, os.kill, os.getpid())
builtins.last = last
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(tmp_path), check=False)
    assert done.returncode == 0


def test_nothing_that_handles_exceptions_takes_it_for_one() -> None:
    assert not issubclass(Stopped, Exception)


def test_signal_that_was_blocked_and_came_too_early_is_delivered(tmp_path: Path) -> None:
    program = """
import os, signal
from byoc.signals import StopFlag
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getpid(), signal.SIGTERM)
stop = StopFlag()
stop.listen()
print(stop.requested)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"
