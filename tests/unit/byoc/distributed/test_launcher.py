"""What torchrun is told, and what its failures mean."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from byoc.distributed import launcher as launch
from byoc.errors import HyperparameterError, TrainingError
from byoc.opt_ml import Hosts
from tests.support import programs

TWO = Hosts("b", ["a", "b"], "eth0")
ONE = Hosts("a", ["a"], "eth0")


@pytest.mark.parametrize(
    ("gpus", "wanted", "expected"), [(0, 0, 1), (0, 3, 3), (8, 0, 8), (8, 2, 2), (1, 0, 1)]
)
def test_there_is_a_process_a_gpu_or_one_unless_asked_otherwise(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: int, expected: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert launch.processes_per_host(wanted) == expected


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(HyperparameterError, match="processes_per_host: 5 processes cannot share 4 GPUs"):
        launch.processes_per_host(5)


def test_hosts_meet_at_the_first_one() -> None:
    options = launch._options(TWO, 4, "/tmp/x")  # noqa: S108
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=a", "--nproc-per-node=4"} <= set(options)


def test_one_host_needs_no_name_and_no_port() -> None:
    options = launch._options(ONE, 4, "/tmp/x")  # noqa: S108
    assert {"--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=4"} <= set(options)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("socket.if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("hosts", "interface"), [(ONE, "lo"), (TWO, "eth0")])
def test_libraries_are_told_the_interface(hosts: Hosts, interface: str) -> None:
    launch._set_environment(hosts, 2)
    assert os.environ["GLOO_SOCKET_IFNAME"] == os.environ["NCCL_SOCKET_IFNAME"] == interface


@pytest.mark.usefixtures("environment")
def test_interface_that_is_not_there_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    launch._set_environment(TWO._replace(interface="ens5"), 2)
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    assert "there is no network interface ens5" in caplog.text


@pytest.mark.usefixtures("environment")
def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    launch._set_environment(ONE, 3)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    launch._set_environment(ONE, 3)
    assert os.environ["OMP_NUM_THREADS"] == "5"


def failure(folder: Path, code: int, message: str = "", timestamp: int = 0) -> ProcessFailure:
    path = folder / f"{code}{timestamp}.json"
    if message:
        path.write_text(json.dumps({"message": message, "timestamp": timestamp}))
    found = ProcessFailure(0, 1234, code, str(path))
    found.timestamp = timestamp
    return found


def test_reason_is_that_of_the_process_that_failed_first(tmp_path: Path) -> None:
    failures = {0: failure(tmp_path, 1, "later", 20), 1: failure(tmp_path, 1, "the disk is full", 10)}
    assert launch._reason(ChildFailedError("train", failures)) == "the disk is full"


def test_process_that_torchrun_ended_is_no_reason(tmp_path: Path) -> None:
    failures = {0: failure(tmp_path, -signal.SIGTERM, "", 10), 1: failure(tmp_path, -signal.SIGKILL, "", 20)}
    cause, remedy = launch._reason(ChildFailedError("train", failures)).splitlines()
    assert cause == "process 1 was killed (SIGKILL), most likely because memory ran out"
    assert "an instance with more memory" in remedy


def test_other_signals_are_named(tmp_path: Path) -> None:
    error = ChildFailedError("train", {2: failure(tmp_path, -signal.SIGSEGV)})
    assert launch._reason(error) == "process 2 was killed by SIGSEGV"


def test_worker_reports_what_torchrun_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    launch.report(TrainingError("the loss is nan\ntry less"))
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
def test_what_may_be_a_symptom_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, waits: bool
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    launch.report(error)
    assert bool(slept) == waits


def test_end_is_at_once_and_loses_no_line(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(("variables", "is_at_once"), [({"TORCHELASTIC_RUN_ID": "1"}, True), ({}, False)])
def test_training_program_ends_at_once_where_torchrun_has_started_it(
    tmp_path: Path, variables: dict[str, str], *, is_at_once: bool
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(print, 'in order')")
    code = programs.ROOT / "code"
    variables |= {"PYTHONPATH": f"{tmp_path}:{code}"}
    ended = subprocess.run(
        [sys.executable, code / "train.py", "--help"],
        env=programs.environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("in order" not in ended.stdout) == is_at_once
