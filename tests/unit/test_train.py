"""The training program in this process, over the toy model."""

import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sagemaker_training.errors import ClientError

import train
from byoc.distributed import launcher
from byoc.errors import TrainingError
from byoc.job import Job
from byoc.opt_ml import Hosts
from byoc.signals import StopFlag, Stopped
from tests.conftest import make_base
from tests.support import toy

Run = Callable[..., Path]


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Restore the loggers and signals that ``main`` changes."""
    loggers = [logging.getLogger(name) for name in ("train", "byoc", "sentiment", "tests.support.toy")]
    before = [(item.handlers, item.level, item.propagate) for item in loggers]
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    for item, (handlers, level, propagate) in zip(loggers, before, strict=True):
        item.handlers, item.level, item.propagate = handlers, level, propagate


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs ``main`` over a folder in the layout of /opt/ml, and returns the folder."""
    monkeypatch.setenv("MODEL_PACKAGE", "tests.support.toy")

    def start(*arguments: str, text: str = "one\ntwo\nthree\n", **hyperparameters: Any) -> Path:
        folder = tmp_path / "ml"
        shutil.rmtree(folder / "input", ignore_errors=True)
        make_base(folder, hyperparameters)
        training = folder / "input" / "data" / "training"
        training.mkdir(parents=True)
        (training / "a.txt").write_text(text)
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        train.main()
        return folder

    return start


def failure(tmp_path: Path) -> str:
    return (tmp_path / "ml" / "output" / "failure").read_text()


def model(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "model" / "toy.json").read_text())
    return content


def replace_training(monkeypatch: pytest.MonkeyPatch, ending: BaseException) -> None:
    def end(_job: Job) -> None:
        raise ending

    monkeypatch.setattr(toy, "train", end)


def test_job_writes_model_without_failure(run: Run) -> None:
    folder = run()
    assert model(folder)["lines"] == 3
    assert not (folder / "output" / "failure").exists()


def test_command_line_overrides_the_file(run: Run) -> None:
    assert model(run("--epochs", "4", epochs="3", rate="0.25"))["epochs"] == 4


def test_hyperparameters_are_checked_before_data(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_training(monkeypatch, AssertionError("training has started"))
    with pytest.raises(ClientError, match="hyperparameter epochs: 'x' is not an integer from 1 to 1000"):
        run(epochs="x")


def test_all_hyperparameter_faults_are_listed(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run(epochs="x", mode="middle", rat="1")
    assert len(failure(tmp_path).splitlines()) == 3


def test_faulty_data_fills_the_failure_file(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run(text="")
    assert failure(tmp_path).endswith("a.txt: empty; expected at least one line")


def test_failed_job_leaves_no_model(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_training(monkeypatch, TrainingError("the loss is nan"))
    with pytest.raises(ClientError):
        run()
    assert not (tmp_path / "ml" / "model").exists()


def test_unknown_package_is_a_failure(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PACKAGE", "nowhere_to_be_seen")
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path).startswith("MODEL_PACKAGE: no package 'nowhere_to_be_seen'")


# The toolkit takes any other exception of these for success, or prints a traceback.
@pytest.mark.parametrize("ending", [SystemExit(0), KeyboardInterrupt(), OSError("no errno"), MemoryError()])
def test_every_failure_is_a_client_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    replace_training(monkeypatch, ending)
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path)


def test_bug_logs_a_traceback(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_training(monkeypatch, KeyError("surprise"))
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path) == "KeyError: 'surprise'"
    assert "Traceback" in capsys.readouterr().err


def test_user_error_logs_no_traceback(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClientError):
        run(epochs="x")
    assert "Traceback" not in capsys.readouterr().err


def test_unwritable_model_folder_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "model").write_text("a file where the folder should be")
    with pytest.raises(ClientError, match="ml/model: File exists"):
        run()


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (OSError(28, "No space left on device", "/x/model"), "/x/model: No space", "a larger volume"),
        (PermissionError(13, "Permission denied", "/x/model"), "/x/model: Perm", "read and write"),
        (MemoryError("40 GiB"), "out of memory: MemoryError: 40 GiB", "a smaller batch_size"),
        (TrainingError("the loss is nan\nlower it"), "the loss is nan", "lower it"),
    ],
)
def test_failure_file_has_cause_and_remedy(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str, remedy: str
) -> None:
    replace_training(monkeypatch, error)
    with pytest.raises(ClientError):
        run()
    first, second = failure(tmp_path).splitlines()
    assert first.startswith(cause)
    assert remedy in second


def test_old_failure_file_is_removed(run: Run) -> None:
    with pytest.raises(ClientError):
        run("--epochs=0")
    assert not (run() / "output" / "failure").exists()


def test_unwritable_failure_file_exits_with_1(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codes = []

    def end(code: int) -> None:
        codes.append(code)
        raise RuntimeError

    monkeypatch.setattr(os, "_exit", end)
    (tmp_path / "ml" / "output" / "failure").mkdir(parents=True)
    with pytest.raises(RuntimeError):
        run(epochs="x")
    assert codes == [1]


@pytest.mark.parametrize(
    ("stopped", "line"),
    [
        (Stopped(), "stopped before the first step: there is nothing to save"),
        (Stopped("stopped; resume from x"), "stopped; resume from x"),
    ],
)
def test_stopped_job_is_no_failure(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stopped: Stopped,
    line: str,
) -> None:
    replace_training(monkeypatch, stopped)
    folder = run()
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert not (folder / "output" / "failure").exists()


def test_sigterm_sets_the_stop_flag(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Job.report_metrics

    def stopping(job: Job, **values: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        report(job, **values)

    monkeypatch.setattr(Job, "report_metrics", stopping)
    assert model(run(epochs="9"))["epoch"] == 1


def test_late_sigterm_is_ignored(run: Run) -> None:
    run()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_help_lists_the_packages_hyperparameters(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("--help")
    assert "--batch_size" in capsys.readouterr().out
    assert not (folder / "model").exists()


def test_package_logs_to_stdout(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(epochs="1")
    assert "epoch=1; lines=3;" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("rank", "level"), [("0", logging.INFO), ("1", logging.WARNING)])
def test_higher_ranks_log_warnings_only(monkeypatch: pytest.MonkeyPatch, rank: str, level: int) -> None:
    monkeypatch.setattr(launcher, "is_worker", lambda: True)
    monkeypatch.setenv("RANK", rank)
    train._log_to_stdout()
    assert logging.getLogger("byoc").level == level


def test_variables_of_torchrun_are_ignored(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.setenv(name, "1")
    run(epochs="1")
    assert "epoch=1; lines=3;" in capsys.readouterr().out.splitlines()


Launches = list[tuple[list[str], int, int]]


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    """Arguments, number of hosts and processes per host of each call of the launcher; none is made."""
    calls: Launches = []

    def launch(arguments: list[str], hosts: Hosts, processes: int, _stop: StopFlag) -> None:
        calls.append((arguments, len(hosts.names), processes))

    monkeypatch.setattr(launcher, "run", launch)
    return calls


@pytest.mark.parametrize(("distributed", "expected"), [(True, [([], 1, 4)]), (False, [])])
def test_distributed_package_gets_process_per_gpu(
    run: Run, launches: Launches, monkeypatch: pytest.MonkeyPatch, distributed: bool, expected: Launches
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr(toy, "distributed", distributed)
    run()
    assert launches == expected


def on_two_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byoc.opt_ml.OptMl.hosts", lambda _: Hosts("a", ["a", "b"], None))


def test_two_hosts_start_the_launcher(run: Run, launches: Launches, monkeypatch: pytest.MonkeyPatch) -> None:
    on_two_hosts(monkeypatch)
    monkeypatch.setattr(toy, "distributed", True)
    run("--epochs=1")
    assert launches == [(["--epochs=1"], 2, 1)]


def test_single_host_package_refuses_two_hosts(
    run: Run, launches: Launches, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_two_hosts(monkeypatch)
    monkeypatch.setattr(toy, "distributed", False)
    with pytest.raises(ClientError, match=r"toy trains on one host; set the instance count"):
        run()
    assert launches == []


def stop_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the next job before its first epoch, as if SIGTERM came while it reads the channels."""

    def stop(job: Job) -> None:
        job.stop.requested = True
        raise Stopped

    monkeypatch.setattr(toy, "train", stop)


def test_early_stop_delivers_the_earlier_model(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    shutil.rmtree(run(epochs="3") / "model")
    stop_in_training(monkeypatch)
    assert model(run())["epoch"] == 3


def test_first_job_delivers_nothing_early(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    stop_in_training(monkeypatch)
    assert not (run() / "model").exists()


def test_only_the_first_host_delivers_it(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    shutil.rmtree(run() / "model")
    monkeypatch.setattr(launcher, "run", lambda *arguments: setattr(arguments[-1], "requested", True))
    monkeypatch.setattr("byoc.opt_ml.OptMl.hosts", lambda _: Hosts("b", ["a", "b"], None))
    assert not (run() / "model").exists()
    monkeypatch.setattr("byoc.opt_ml.OptMl.hosts", lambda _: Hosts("a", ["a", "b"], None))
    assert model(run())["epoch"] == 2


def test_unusable_earlier_model_is_no_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    (tmp_path / "ml" / "checkpoints" / "model-1.tar").write_bytes(b"")
    stop_in_training(monkeypatch)
    run()
    assert "there is no model to deliver: " in capsys.readouterr().out
