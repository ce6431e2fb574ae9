"""Stops and failures of the ``train`` program: the container with the toy model, then the LSTM."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from byoc.checkpoints import Checkpoints
from sentiment.model.artifact import load_artifact
from tests.conftest import PLAIN, make_base
from tests.support.programs import children, start_train
from tests.support.two_hosts import HOSTS, TwoHostJob, configure_host

pytestmark = pytest.mark.whole_path

TOY = {"MODEL_PACKAGE": "tests.support.toy"}
ENDLESS = {"epochs": "1000", "pause": "0.1"}
SLOW_START = {"pause": "60"}


def toy_base(folder: Path, text: str = "one\ntwo\n", **hyperparameters: str) -> Path:
    """A folder in the layout of /opt/ml, with checkpoints and one file for the toy model."""
    base = make_base(folder, hyperparameters)
    training = base / "input" / "data" / "training"
    training.mkdir(parents=True)
    (training / "a.txt").write_text(text)
    (base / "checkpoints").mkdir()
    return base


def send_after(
    base: Path, line: str, number: signal.Signals, variables: Mapping[str, str] = {}
) -> tuple[subprocess.Popen[str], str, str]:
    """Start ``train``, send a signal after a line of its output, and wait for its end.

    Returns the process, its whole stdout and its stderr.
    """
    with start_train(base, variables=variables) as process:
        assert process.stdout is not None
        seen = ""
        while not seen.splitlines()[-1:] or not seen.splitlines()[-1].startswith(line):
            seen += process.stdout.readline()
            assert process.poll() is None, seen
        process.send_signal(number)
        start = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)  # half of SageMaker's grace period
        print(f"{time.monotonic() - start:.1f} s from the signal to the end")
    return process, seen + stdout, stderr


def model(base: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((base / "model" / "toy.json").read_text())
    return content


@pytest.mark.parametrize("processes", ["1", "2"])
def test_stopped_job_resumes(tmp_path: Path, processes: str) -> None:
    base = toy_base(tmp_path, processes_per_host=processes, **ENDLESS)
    process, log, stderr = send_after(base, "epoch=2;", signal.SIGTERM, TOY)
    assert process.returncode == 0, stderr
    assert log.count("epoch=2;") == 1
    assert not (base / "output" / "failure").exists()
    stopped = model(base)["epoch"]
    send_after(base, f"epoch={stopped + 1};", signal.SIGTERM, TOY)
    assert model(base)["first"] == stopped + 1


@pytest.mark.parametrize("processes", ["1", "2"])
def test_stop_before_first_epoch_leaves_nothing(tmp_path: Path, processes: str) -> None:
    base = toy_base(tmp_path, processes_per_host=processes, **SLOW_START)
    process, log, stderr = send_after(base, "counting lines", signal.SIGTERM, TOY)
    assert process.returncode == 0, stderr
    assert "\nstopped before the first step: there is nothing to save\n" in log
    assert not (base / "model").exists()
    assert not (base / "output" / "failure").exists()


def test_interrupted_job_fails_and_keeps_model(tmp_path: Path) -> None:
    base = toy_base(tmp_path, **ENDLESS)
    process, _, stderr = send_after(base, "epoch=3;", signal.SIGINT, TOY)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert (base / "output" / "failure").read_text().startswith("interrupted\nstart the job again")
    assert model(base)["epoch"] >= 3


def toy_hosts(folder: Path, *texts: str, **hyperparameters: str) -> list[Path]:
    bases = [
        toy_base(folder / name, text, **hyperparameters) for name, text in zip(HOSTS, texts, strict=True)
    ]
    for base, name in zip(bases, HOSTS, strict=True):
        configure_host(base, name)
    return bases


def test_only_first_host_writes_model(tmp_path: Path) -> None:
    bases = toy_hosts(tmp_path, "one\ntwo\n", "three\n")
    with TwoHostJob(bases, TOY) as job:
        assert job.wait() == [0, 0], job.log(0) + job.log(1)
    assert model(bases[0])["lines"] == 3
    assert not (bases[1] / "model").exists()


def test_stop_of_one_host_stops_both(tmp_path: Path) -> None:
    with TwoHostJob(toy_hosts(tmp_path, "one\n", "two\n", **ENDLESS), TOY) as job:
        job.wait_for("epoch=2;")
        job.processes[1].send_signal(signal.SIGTERM)
        assert job.wait(60) == [0, 0], job.log(0) + job.log(1)
        assert "stop requested; forwarding it" in job.log(1)
        assert "stopped after epoch" in job.log(0)


def test_stop_while_waiting_for_hosts(tmp_path: Path) -> None:
    with TwoHostJob(toy_hosts(tmp_path, "one\n", "two\n")[:1], TOY) as job:
        job.wait_for("hosts: 2")
        job.processes[0].send_signal(signal.SIGTERM)
        assert job.wait(60) == [0], job.log(0)
        assert "stopped while waiting for the other hosts: there is nothing to save" in job.log(0)


def kill_process(job: TwoHostJob) -> str:
    os.kill(children(job.processes[1])[0], signal.SIGKILL)
    return "process 1 was killed (SIGKILL), most likely because memory ran out\nuse a smaller batch_size"


def kill_host(job: TwoHostJob) -> str:
    job.processes[1].kill()
    return "127.0.0.2 disconnected without a message: it was killed, or it ran out of memory\nsee its log"


@pytest.mark.parametrize("end", [kill_process, kill_host])
def test_killed_process_fails_all_hosts(tmp_path: Path, end: Callable[[TwoHostJob], str]) -> None:
    with TwoHostJob(toy_hosts(tmp_path, "one\n", "two\n", **ENDLESS), TOY) as job:
        job.wait_for("epoch=1;")
        workers = [worker for process in job.processes for worker in children(process)]
        reason = end(job)
        codes = job.wait(60)
        assert codes[0] == 1
        assert job.failure(0).startswith("host 127.0.0.2")
        assert reason in job.failure(0)
        if end == kill_process:
            assert codes[1] == 1
            assert job.failure(1).startswith(reason)
        assert "Traceback" not in job.log(0) + job.log(1)
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline, "a process has outlived its job"
            time.sleep(0.1)


def test_fault_on_one_host_fails_both(tmp_path: Path) -> None:
    with TwoHostJob(toy_hosts(tmp_path, "one\n", "", **ENDLESS), TOY) as job:
        assert job.wait(60) == [1, 1]
        assert job.failure(1).endswith("a.txt: empty; expected at least one line")
        assert job.failure(0) == f"host 127.0.0.2: {job.failure(1)}"
        assert "Traceback" not in job.log(0) + job.log(1)


LSTM = PLAIN | {
    "epochs": "1000",
    "patience": "1000",
    "hidden_dim": "16",
    "embedding_dim": "16",
    "batch_size": "16",
}


def test_stopped_lstm_leaves_model_metrics_checkpoint(
    few_reviews: list[tuple[str, str]], tmp_path: Path
) -> None:
    base = make_base(tmp_path, LSTM, training=few_reviews)
    (base / "checkpoints").mkdir()
    process, log, _ = send_after(base, "epoch=2;", signal.SIGTERM)
    assert process.returncode == 0
    assert f"the best model so far is in {base / 'model'}; the same job resumes from" in log
    assert load_artifact(base / "model").training["epochs"]
    assert (base / "output" / "data" / "metrics.json").is_file()
    assert Checkpoints(base / "checkpoints", 1).newest()
    assert not (base / "output" / "failure").exists()
