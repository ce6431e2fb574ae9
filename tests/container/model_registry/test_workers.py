"""Workers of a model: their number, the memory they need, and their time."""

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from byoc.serving.worker_status import WorkerFile
from serving import cgroup
from serving.model_registry import ModelRegistry
from serving.model_server import ModelServer
from serving.settings import Settings
from tests.support.fake_registry import MULTI_MODEL, Fake, names, refused
from tests.support.toy import ARTIFACT
from tests.support.unix_http import Response, answering


def test_workers_folder_lists_live_workers(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    file = WorkerFile(fake.folder / "workers" / "a")
    assert [worker.pid for worker in fake.models.workers("a")] == [os.getpid()]
    os.close(file._file)


def test_load_times_are_in_order(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    for seconds in (1.5, 0.25):
        os.close(WorkerFile(fake.folder / "workers" / "a", seconds)._file)
    assert fake.models.load_seconds("a") == [1.5, 0.25]


def test_model_has_its_number_of_workers(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    assert fake.models.get("a").workers == Settings.from_environment(MULTI_MODEL).workers


def test_unknown_model_has_no_workers(fake: Fake) -> None:
    assert fake.models.workers("a") == []
    assert fake.models.load_seconds("a") == []


@pytest.mark.parametrize(
    ("environment", "wait"), [(MULTI_MODEL, "synchronous=true"), ({}, "synchronous=false")]
)
def test_multi_model_alone_waits_for_workers(fake: Fake, environment: dict[str, str], wait: str) -> None:
    folder = fake.folder / "more"
    folder.mkdir()
    with answering(folder / "management.sock", lambda _request: Response(202)) as asked:
        ModelRegistry(folder, Settings.from_environment(environment), ModelServer(folder)).load(
            "model", ARTIFACT
        )
    assert wait in asked[0].path


def test_model_without_memory_is_507(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "free_memory", lambda: 100 * 2**20)
    assert refused(lambda: fake.models.load("a", ARTIFACT)) == (
        507,
        "one worker with the model needs about 270 MiB of memory, and 100 MiB are free "
        "(SAGEMAKER_MODEL_SERVER_WORKERS: 1); use an instance with more memory, or a smaller model",
    )
    assert (names(fake), fake.asked) == ([], [])


def test_model_with_just_enough_memory_loads(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "free_memory", lambda: 271 * 2**20)
    fake.models.load("a", ARTIFACT)
    assert names(fake) == ["a"]


def test_size_of_artifact_counts_as_memory(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "free_memory", lambda: 360 * 2**20)
    large = tmp_path / "ml" / "a" / "model" / "large.safetensors"
    with large.open("wb") as stream:
        stream.truncate(100 * 2**20)
    assert refused(lambda: fake.models.load("a", large.parent))[0] == 507


def test_workers_load_one_by_one_when_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "free_memory", lambda: 3_100 * 2**20)
    folder, artifact = tmp_path / "run", tmp_path / "artifact"
    folder.mkdir()
    shutil.copytree(ARTIFACT, artifact)
    with (artifact / "large.safetensors").open("wb") as stream:
        stream.truncate(800 * 2**20)
    settings = Settings.from_environment({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
    with answering(folder / "management.sock", lambda _request: Response()) as asked:
        models = ModelRegistry(folder, settings, ModelServer(folder))
        loading = threading.Thread(target=models.load, args=("model", artifact))
        loading.start()
        while not (folder / "routes" / "model").exists():
            loading.join(0.01)
        assert [(request.method, "initial_workers=1" in request.path) for request in asked] == [
            ("POST", True)
        ]
        worker = WorkerFile(folder / "workers" / "model")
        loading.join(10)
        os.close(worker._file)
    assert (asked[-1].method, asked[-1].path) == ("PUT", "/models/model?min_worker=2&max_worker=2")


def test_workers_are_reduced_to_free_memory(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "free_memory", lambda: 400 * 2**20)
    folder = fake.folder / "more"
    folder.mkdir()
    settings = Settings.from_environment({"SAGEMAKER_MODEL_SERVER_WORKERS": "9"})
    with answering(folder / "management.sock", lambda _request: Response()) as asked:
        ModelRegistry(folder, settings, ModelServer(folder)).load("model", ARTIFACT)
    assert "initial_workers=2" in asked[0].path


def test_busy_model_is_unloaded_after_its_answer(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    worker = WorkerFile(fake.folder / "workers" / "a")
    worker.busy()
    unloading = threading.Thread(target=fake.models.unload, args=("a",))
    unloading.start()
    while (fake.folder / "routes" / "a").exists():
        unloading.join(0.01)
    unloading.join(0.5)
    assert [request.method for request in fake.asked] == ["POST"]
    worker.idle()
    unloading.join(10)
    assert [request.method for request in fake.asked] == ["POST", "DELETE"]
    os.close(worker._file)


def test_hanging_model_is_unloaded_after_its_time(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake.models, "_settings", replace(fake.models._settings, request_seconds=0))
    fake.models.load("a", ARTIFACT)
    worker = WorkerFile(fake.folder / "workers" / "a")
    worker.busy()
    fake.models.unload("a")
    assert names(fake) == []
    os.close(worker._file)


def test_frozen_time_does_not_count_as_busy(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    worker = WorkerFile(fake.folder / "workers" / "a")
    worker._write(time.monotonic() - 70)
    assert fake.models.workers("a")[0].busy_seconds > 69
    fake.models.resume()
    assert fake.models.workers("a")[0].busy_seconds < 60
    os.close(worker._file)
