"""A worker: it loads the model, shows its state, and logs."""

import faulthandler
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import inference
from byoc.errors import ArtifactError, PackageError
from byoc.serving import json_log, request
from byoc.serving.worker_status import workers
from tests.support import toy
from tests.support.handler import (
    TEXT,
    ask,
    ask_together,
    fail_on,
    let_answer,
)


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_model_that_answers_no_json_fails(
    reload: Any, monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    let_answer(monkeypatch, length=number)
    with pytest.raises(ArtifactError, match=r"the answer to 'A probe\.' is no JSON"):
        reload()


def busy_seconds(folder: Path) -> float:
    """Seconds that this worker has been busy."""
    (worker,) = workers(folder / "workers" / "model")
    assert worker.pid == os.getpid()
    return worker.busy_seconds


def test_waiting_worker_is_idle(loaded: Path) -> None:
    ask(b"great", TEXT)
    assert busy_seconds(loaded) == 0


def test_predicting_worker_is_busy(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(toy.Model, "predict", lambda *_: seen.append(busy_seconds(loaded)))
    ask(b"great", TEXT)
    assert seen[0] > 0


def test_decoding_worker_is_busy(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def decode(*_arguments: object) -> list[str]:
        seen.append(busy_seconds(loaded))
        return []

    monkeypatch.setattr(request, "decode", decode)
    ask(b"great", TEXT)
    assert seen[0] > 0


def test_each_step_restarts_the_time(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "STEP_TEXTS", 1)
    begun: list[float] = []

    def predict(_self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        begun.append(time.monotonic() - busy_seconds(loaded))
        time.sleep(0.01)
        return [{"answer": "A", "length": 1}] * len(texts)

    monkeypatch.setattr(toy.Model, "predict", predict)
    ask_together((b"great", TEXT), (b"great", TEXT))
    assert begun[1] - begun[0] >= 0.01


@pytest.mark.parametrize("body", [b"great", b"bad", b""])
def test_worker_is_idle_after_a_fault(loaded: Path, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    fail_on(monkeypatch, "bad")
    ask(body, TEXT)
    assert busy_seconds(loaded) == 0


def test_worker_appears_after_its_probe(reload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    predict = toy.Model.predict

    def count(self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        seen.append(len(workers(tmp_path / "workers" / "model")))
        return predict(self, texts)

    monkeypatch.setattr(toy.Model, "predict", count)
    reload()
    assert (seen, len(workers(tmp_path / "workers" / "model"))) == ([0], 1)


def test_model_that_cannot_predict_fails(
    reload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "")
    with pytest.raises(RuntimeError):
        reload()
    assert workers(tmp_path / "workers" / "model") == []


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_damaged_file_is_named(reload: Any, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    artifact = tmp_path_factory.mktemp("ml") / "model"
    shutil.copytree(toy.ARTIFACT, artifact)
    (artifact / name).write_bytes((artifact / name).read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=name):
        reload(artifact)


def test_undeclared_metrics_fail_the_worker(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy, "metric_names", ("shortest",))
    with pytest.raises(PackageError, match=r"\{'longest': 8\}; .* metric_names: \['shortest'\]"):
        reload()


@pytest.mark.parametrize("value", [None, True, "many"])
def test_metric_that_is_no_number_fails_the_worker(
    reload: Any, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(toy.Model, "metrics", lambda _self, _results: {"longest": value})
    with pytest.raises(PackageError, match="expected a number for each of metric_names"):
        reload()


def test_metrics_of_no_result_are_checked(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy.Model, "metrics", lambda _self, results: {"longest": 1} if results else {})
    with pytest.raises(PackageError, match=r"metrics\(\) returned \{\}"):
        reload()


def test_missing_model_fails_the_worker(reload: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no trained model"):
        reload(tmp_path / "none")


@pytest.mark.parametrize(("environment", "level"), [({}, "info"), ({"SERVE_LOG_LEVEL": "ERROR"}, "ERROR")])
def test_log_level_comes_from_environment(
    reload: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], level: str
) -> None:
    used: list[str] = []
    monkeypatch.setattr(json_log, "use", lambda level, _leave_out: used.append(level))
    reload(**environment)
    assert used == [level]


@pytest.mark.parametrize(
    ("name", "level", "error", "routine"),
    [
        ("root", logging.INFO, None, True),
        ("root", logging.ERROR, ValueError("Frontend disconnected"), True),
        ("root", logging.ERROR, ValueError("something else"), False),
        ("root", logging.ERROR, None, False),
        ("worker", logging.INFO, None, False),
    ],
)
def test_servers_routine_records_are_dropped(
    name: str, level: int, error: Exception | None, routine: bool
) -> None:
    exc_info = (type(error), error, None) if error else None
    record = logging.LogRecord(name, level, "", 0, "x", None, exc_info)
    assert inference._is_routine(record) == routine


def test_aborted_worker_logs_a_traceback(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    enabled: list[bool] = []
    monkeypatch.setattr(faulthandler, "enable", lambda: enabled.append(True))
    reload()
    assert enabled == [True]


def test_broken_gpu_falls_back_to_cpu(
    reload: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    reload(gpu=1)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage().startswith("cannot start CUDA on GPU 1; THE MODEL RUNS ON THE CPU")
    assert "InferenceAmiVersion" in record.getMessage()
    assert ask(b"great", TEXT).status == 200


def test_worker_uses_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert inference._device(1) == "cuda:1"


def test_worker_without_gpu_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert (inference._device(None), caplog.records) == ("cpu", [])
