"""Options and environment of torchrun, and the reasons of its failures."""

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from byoc.distributed import launcher
from byoc.errors import HyperparameterError, TrainingError
from byoc.opt_ml import Hosts
from byoc.signals import StopFlag
from tests.support import programs

TWO = Hosts("b", ["a", "b"], "eth0")
ONE = Hosts("a", ["a"], "eth0")


@pytest.mark.parametrize(
    ("gpus", "count", "expected"), [(0, 0, 1), (0, 3, 3), (8, 0, 8), (8, 2, 2), (1, 0, 1)]
)
def test_default_is_one_process_per_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: int, count: int, expected: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert launcher.processes_per_host(count) == expected


def test_more_processes_than_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(
        HyperparameterError, match="processes_per_host: 5 processes need 5 GPUs, this host has 4"
    ):
        launcher.processes_per_host(5)


def test_first_host_is_the_master() -> None:
    options = launcher._options(TWO, 4, "/tmp/x")  # noqa: S108
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=a", "--nproc-per-node=4"} <= set(options)


def test_single_host_is_standalone() -> None:
    options = launcher._options(ONE, 4, "/tmp/x")  # noqa: S108
    assert {"--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=4"} <= set(options)


def test_stop_of_another_host_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first host then delivers the model of an earlier instance."""
    monitor = SimpleNamespace(
        wait=lambda _seconds: False,
        stop_requested=True,
        failure=None,
        request_stop=lambda: None,
        finish=lambda: None,
    )
    monkeypatch.setattr(launcher, "HeartbeatMonitor", lambda _hosts: nullcontext(monitor))
    monkeypatch.setattr(launcher, "_set_environment", lambda *_: None)
    stop = StopFlag()
    launcher.run([], TWO, 1, stop)
    assert stop.requested


def test_stop_during_training_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = iter([True, False])
    agent = SimpleNamespace(is_alive=lambda: next(alive), join=lambda _seconds: None)
    monitor = SimpleNamespace(check=lambda: None, stop_requested=True)
    monkeypatch.setattr(launcher, "_signal_workers", lambda *_: set())
    stop = StopFlag()
    launcher._supervise(agent, monitor, stop)  # type: ignore[arg-type]  # stand-ins
    assert stop.requested


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TRAIN_LAUNCHER_PID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("socket.if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("hosts", "interface"), [(ONE, "lo"), (TWO, "eth0")])
def test_interface_is_set_for_the_libraries(hosts: Hosts, interface: str) -> None:
    launcher._set_environment(hosts, 2)
    assert os.environ["GLOO_SOCKET_IFNAME"] == os.environ["NCCL_SOCKET_IFNAME"] == interface


@pytest.mark.usefixtures("environment")
def test_missing_interface_is_skipped_with_warning(caplog: pytest.LogCaptureFixture) -> None:
    launcher._set_environment(TWO._replace(interface="ens5"), 2)
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    assert "no network interface ens5" in caplog.text


@pytest.mark.usefixtures("environment")
def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher._set_environment(ONE, 3)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    launcher._set_environment(ONE, 3)
    assert os.environ["OMP_NUM_THREADS"] == "5"


def failure(folder: Path, code: int, message: str = "", timestamp: int = 0) -> ProcessFailure:
    path = folder / f"{code}{timestamp}.json"
    if message:
        path.write_text(json.dumps({"message": message, "timestamp": timestamp}))
    result = ProcessFailure(0, 1234, code, str(path))
    result.timestamp = timestamp
    return result


def test_first_failure_is_the_reason(tmp_path: Path) -> None:
    failures = {0: failure(tmp_path, 1, "later", 20), 1: failure(tmp_path, 1, "the disk is full", 10)}
    assert launcher._reason(ChildFailedError("train", failures)) == "the disk is full"


def test_termination_by_torchrun_is_no_reason(tmp_path: Path) -> None:
    failures = {0: failure(tmp_path, -signal.SIGTERM, "", 10), 1: failure(tmp_path, -signal.SIGKILL, "", 20)}
    cause, remedy = launcher._reason(ChildFailedError("train", failures)).splitlines()
    assert cause == "process 1 was killed (SIGKILL), most likely because memory ran out"
    assert "an instance with more memory" in remedy


def test_signal_of_the_failure_is_named(tmp_path: Path) -> None:
    error = ChildFailedError("train", {2: failure(tmp_path, -signal.SIGSEGV)})
    assert launcher._reason(error) == "process 2 was killed by SIGSEGV"


def test_report_is_readable_by_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    launcher.report(TrainingError("the loss is nan\ntry less"))
    assert ProcessFailure(0, 1, 1, str(tmp_path / "error.json")).message == "the loss is nan\ntry less"


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (RuntimeError("Connection closed by peer"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), False),
        (TrainingError("the loss is nan"), False),
        (OSError(28, "No space left on device", "x"), False),
    ],
)
def test_possible_symptom_is_reported_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, waits: bool
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    launcher.report(error)
    assert bool(slept) == waits


def test_end_skips_clean_up_and_flushes(tmp_path: Path) -> None:
    program = (
        "import atexit, os; from byoc.distributed import launcher\n"
        "atexit.register(os.abort); print(1); launcher.end()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=programs.environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "1\n")


@pytest.mark.parametrize(
    ("variables", "cleans_up"),
    [({"TRAIN_LAUNCHER_PID": str(os.getpid())}, False), ({"TORCHELASTIC_RUN_ID": "1"}, True), ({}, True)],
)
def test_only_workers_skip_clean_up(tmp_path: Path, variables: dict[str, str], *, cleans_up: bool) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(print, 'clean-up')")
    code = programs.ROOT / "code"
    variables |= {"PYTHONPATH": f"{tmp_path}:{code}"}
    ended = subprocess.run(
        [sys.executable, code / "train.py", "--help"],
        env=programs.environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("clean-up" in ended.stdout) == cleans_up
