"""SIGTERM as a flag."""

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


def test_signal_sets_the_flag(stop: StopFlag) -> None:
    assert not stop.requested
    send()
    assert stop.requested


def test_signal_ends_an_interruptible_block(stop: StopFlag) -> None:
    reached = []
    with contextlib.suppress(Stopped), stop.interruptible():
        send()
        reached.append("the end")
    assert stop.requested
    assert not reached


def test_earlier_signal_prevents_the_block(stop: StopFlag) -> None:
    send()
    with pytest.raises(Stopped), stop.interruptible():
        pytest.fail("the block was entered")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_in_a_finalizer_counts(stop: StopFlag) -> None:
    class Removed:
        def __del__(self) -> None:
            send()

    with pytest.raises(Stopped), stop.interruptible():
        Removed()


def test_signal_after_the_block_sets_flag(stop: StopFlag) -> None:
    with stop.interruptible():
        pass
    send()
    assert stop.requested


def test_ignored_signal_does_not_kill(tmp_path: Path) -> None:
    program = """
import builtins, os, signal
from byoc.signals import StopFlag
stop = StopFlag()
stop.listen()
stop.ignore()
class Last:
    def __del__(self):
        signal_number, kill, pid = self.call
        kill(pid, signal_number)
last = Last()
last.call = (signal.SIGTERM, os.kill, os.getpid())
builtins.last = last
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(tmp_path), check=False)
    assert done.returncode == 0


def test_stopped_is_no_exception() -> None:
    assert not issubclass(Stopped, Exception)


def test_blocked_signal_is_delivered_by_listen(tmp_path: Path) -> None:
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
