"""A child process of the supervisor."""

import os
import signal

import psutil
import pytest

from serving.logs import Log
from serving.supervisor import Program, ServingError
from tests.support.programs import printed_lines, wait_until


def start(script: str, **environment: str) -> Program:
    return Program("it", ["sh", "-c", script], Log(), environment)


def finish(script: str, **environment: str) -> Program:
    """Wait until the program has ended and its output is in the log."""
    program = start(script, **environment)
    program.process.wait()
    program.stop(signal.SIGTERM, 0)
    return program


def test_output_goes_to_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    finish("echo one; echo two >&2")
    logged = {line["message"]: (line["source"], line["level"]) for line in printed_lines(capfd)}
    assert logged == {"one": ("it", "info"), "two": ("it", "warning")}


def test_json_with_invalid_bytes_stays_json(capfd: pytest.CaptureFixture[str]) -> None:
    finish(r"""printf '{"time":"now","level":"info","path":"/\377"}\n'""")
    assert [line["path"] for line in printed_lines(capfd)] == ["/\ufffd"]


def test_program_gets_variables() -> None:
    assert finish('exit "$CODE"', CODE="7").process.returncode == 7


def test_program_has_empty_input() -> None:
    assert finish("cat").process.returncode == 0


def test_running_program_passes_the_check() -> None:
    program = start("sleep 60")
    program.check()
    program.stop(signal.SIGKILL, 10)


@pytest.mark.parametrize(
    ("script", "cause"),
    [("exit 0", "with exit code 0"), ("exit 3", "with exit code 3"), ("kill -9 $$", "by signal SIGKILL")],
)
def test_ended_program_fails_the_check(script: str, cause: str) -> None:
    with pytest.raises(ServingError) as caught:
        finish(script).check()
    assert str(caught.value) == f"it ended by itself, {cause}"


def test_stop_sends_the_signal() -> None:
    program = start("sleep 60")
    program.stop(signal.SIGQUIT, 10)
    assert program.process.returncode == -signal.SIGQUIT


def test_stop_waits_for_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    program = start("trap 'sleep 0.1; echo done; exit 5' QUIT; echo ready; while :; do sleep 0.01; done")
    wait_until(lambda: "ready" in capfd.readouterr().out)
    program.stop(signal.SIGQUIT, 10)
    assert program.process.returncode == 5
    assert printed_lines(capfd)[-1]["message"] == "done"


def test_stop_kills_after_the_timeout(capfd: pytest.CaptureFixture[str]) -> None:
    program = start("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    wait_until(lambda: "ready" in capfd.readouterr().out)
    program.stop(signal.SIGTERM, 0.1)
    assert program.process.returncode == -signal.SIGKILL


def test_stop_kills_the_children(capfd: pytest.CaptureFixture[str]) -> None:
    program = start("sleep 60 & echo $!; exec sleep 60")
    child = psutil.Process(int(wait_until(lambda: printed_lines(capfd))[0]["message"]))
    program.stop(signal.SIGTERM, 10)
    child.wait(10)


def test_program_has_its_own_session() -> None:
    program = start("sleep 60")
    assert os.getsid(program.process.pid) != os.getsid(0)
    program.stop(signal.SIGKILL, 10)
