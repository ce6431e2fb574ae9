"""The registry of models, with a fake management API."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from byoc.errors import ArtifactError
from byoc.serving.worker_status import WorkerFile
from serving import cgroup, model_registry
from serving.model_registry import Model, ModelError, ModelRegistry, check_model
from serving.model_server import ModelServer
from serving.settings import Settings
from tests.support.toy import ARTIFACT
from tests.support.unix_http import Request, Response, answering

MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true"}


class Fake(NamedTuple):
    """A registry with a fake server, the requests to it, and its answer to each method."""

    models: ModelRegistry
    folder: Path
    asked: list[Request]
    answers: dict[str, Callable[[], Response | None]]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(model_registry, "MULTI_MODEL_FOLDER", tmp_path / "ml")
    monkeypatch.setattr(model_registry, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(cgroup, "free_memory", lambda: 2**40)
    shutil.copytree(ARTIFACT, tmp_path / "ml" / "a" / "model")
    answers: dict[str, Callable[[], Response | None]] = {"POST": Response, "DELETE": Response}
    with answering(folder / "management.sock", lambda request: answers[request.method]()) as asked:
        yield Fake(
            ModelRegistry(folder, Settings.from_environment(MULTI_MODEL), ModelServer(folder)),
            folder,
            asked,
            answers,
        )


def refused(action: Callable[[], object]) -> tuple[int, str]:
    """Status and reason of a refusal."""
    with pytest.raises(ModelError) as caught:
        action()
    return caught.value.status, str(caught.value)


def names(fake: Fake) -> list[str]:
    return [model.name for model in fake.models.all()]


def test_registry_starts_empty(fake: Fake) -> None:
    assert fake.models.all() == []


def test_loaded_models_are_sorted_by_name(fake: Fake) -> None:
    fake.models.load("b", ARTIFACT)
    fake.models.load("a", ARTIFACT)
    assert names(fake) == ["a", "b"]


def test_get_returns_the_loaded_model(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    assert fake.models.get("a").artifact == ARTIFACT


def test_server_gets_an_empty_folder(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    assert f"url={fake.folder}/models/a"[5:].replace("/", "%2F") in fake.asked[0].path
    assert list((fake.folder / "models" / "a").iterdir()) == []


def test_artifact_is_linked(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    assert (fake.folder / "artifacts" / "a").readlink() == ARTIFACT


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


@pytest.mark.parametrize(
    "name",
    ["a", "A-b_c.1", "0" * 128, "_", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
)
def test_valid_name_is_accepted(fake: Fake, name: str) -> None:
    fake.models.load(name, ARTIFACT)
    assert names(fake) == [name]


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "a/b", "../a", "a b", "a\n", "a\0", "é", "0" * 129, "a?b", "a%2fb"]
)
def test_invalid_name_is_400(fake: Fake, name: str) -> None:
    status, reason = refused(lambda: fake.models.load(name, ARTIFACT))
    assert (status, reason) == (
        400,
        f"model_name {name!r}: expected 1 to 128 letters, digits, '.', '_' or '-'",
    )
    assert fake.asked == []


def test_taken_name_is_409(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    assert refused(lambda: fake.models.load("a", ARTIFACT)) == (409, "model a is loaded already")
    assert len(fake.asked) == 1


def test_unloading_frees_the_name(fake: Fake) -> None:
    for _ in range(3):
        fake.models.load("a", ARTIFACT)
        fake.models.unload("a")
    assert [request.method for request in fake.asked] == ["POST", "DELETE"] * 3


def test_unloading_removes_all_folders(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    fake.models.unload("a")
    assert names(fake) == []
    assert [
        path for folder in ("models", "artifacts", "workers") for path in (fake.folder / folder).iterdir()
    ] == []


def test_unloading_removes_dead_sockets(fake: Fake) -> None:
    left, used = fake.folder / ".mms.sock.9000", fake.folder / ".mms.sock.9001"
    with socket.socket(socket.AF_UNIX) as gone, socket.socket(socket.AF_UNIX) as other:
        gone.bind(str(left))
        gone.close()
        other.bind(str(used))
        fake.models.load("a", ARTIFACT)
        fake.models.unload("a")
        assert not left.exists()
        assert used.exists()


def test_unloading_keeps_the_artifact(fake: Fake, tmp_path: Path) -> None:
    artifact = tmp_path / "ml" / "a" / "model"
    fake.models.load("a", artifact)
    fake.models.unload("a")
    assert len(list(artifact.iterdir())) == len(list(ARTIFACT.iterdir()))


@pytest.mark.parametrize("action", ["get", "unload"])
def test_unknown_model_is_404(fake: Fake, action: str) -> None:
    assert refused(lambda: getattr(fake.models, action)("a")) == (404, "model a is not loaded")


def test_unloading_removes_model_before_its_processes(fake: Fake) -> None:
    """Otherwise the supervisor would report a fault."""
    fake.models.load("a", ARTIFACT)
    listed: list[list[str]] = []

    def answer() -> Response:
        listed.append(names(fake))
        return Response()

    fake.answers["DELETE"] = answer
    fake.models.unload("a")
    assert listed == [[]]


def test_model_unknown_to_server_is_unloaded(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    fake.answers["DELETE"] = lambda: Response(404)
    fake.models.unload("a")
    assert names(fake) == []


def test_failed_unload_has_the_servers_reason(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    fake.answers["DELETE"] = lambda: Response(408, b'{"message": "Timed out"}')
    assert refused(lambda: fake.models.unload("a")) == (408, "Timed out")


def test_failed_load_has_the_servers_reason(fake: Fake) -> None:
    fake.answers["POST"] = lambda: Response(500, b'{"message": "Failed to start workers"}')
    assert refused(lambda: fake.models.load("a", ARTIFACT)) == (
        500,
        "model a cannot be loaded: Failed to start workers; see the log",
    )


def test_failed_load_removes_the_model(fake: Fake) -> None:
    fake.answers["POST"] = lambda: Response(500)
    refused(lambda: fake.models.load("a", ARTIFACT))
    assert names(fake) == []
    assert [request.method for request in fake.asked] == ["POST", "DELETE"]


def test_server_death_during_load_removes_model(fake: Fake) -> None:
    fake.answers["POST"] = lambda: None
    with pytest.raises(OSError):  # noqa: PT011
        fake.models.load("a", ARTIFACT)
    assert names(fake) == []


def test_failed_load_can_be_repeated(fake: Fake) -> None:
    fake.answers["POST"] = lambda: Response(500)
    refused(lambda: fake.models.load("a", ARTIFACT))
    fake.answers["POST"] = Response
    fake.models.load("a", ARTIFACT)
    assert names(fake) == ["a"]


def test_loads_run_one_at_a_time(fake: Fake) -> None:
    running: list[int] = []
    most: list[int] = []

    def answer() -> Response:
        running.append(1)
        most.append(len(running))
        threading.Event().wait(0.05)
        running.pop()
        return Response()

    fake.answers["POST"] = answer
    threads = [threading.Thread(target=fake.models.load, args=(name, ARTIFACT)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_reloaded_model_is_a_new_object(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    first = fake.models.get("a")
    fake.models.unload("a")
    fake.models.load("a", ARTIFACT)
    assert first not in fake.models
    assert fake.models.get("a") in fake.models


def test_foreign_model_is_not_contained(fake: Fake) -> None:
    assert Model("a", ARTIFACT) not in fake.models


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_damaged_artifact_is_400(fake: Fake, tmp_path: Path, name: str) -> None:
    file = tmp_path / "ml" / "a" / "model" / name
    file.write_bytes(file.read_bytes()[:-9])
    status, reason = refused(lambda: fake.models.load("a", file.parent))
    assert status == 400
    assert str(file) in reason
    assert fake.asked == []


def test_missing_artifact_is_400(fake: Fake, tmp_path: Path) -> None:
    status, reason = refused(lambda: fake.models.load("a", tmp_path / "none"))
    assert status == 400
    assert "no trained model" in reason


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


def test_platform_folder_is_loaded(fake: Fake, tmp_path: Path) -> None:
    fake.models.load_url("x", str(tmp_path / "ml" / "a" / "model"))
    assert names(fake) == ["x"]


def test_trailing_slash_is_removed(fake: Fake, tmp_path: Path) -> None:
    fake.models.load_url("x", f"{tmp_path}/ml/a/model/")
    assert fake.models.get("x").artifact == tmp_path / "ml" / "a" / "model"


def test_link_within_platform_folder_is_loaded(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "ml" / "b").symlink_to("a")
    fake.models.load_url("x", f"{tmp_path}/ml/b/model")
    assert names(fake) == ["x"]


def test_platform_folder_may_be_a_link(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("ml")
    monkeypatch.setattr(model_registry, "MULTI_MODEL_FOLDER", tmp_path / "link")
    fake.models.load_url("x", f"{tmp_path}/link/a/model")
    assert names(fake) == ["x"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "{ml}",
        "{ml}/",
        "{ml}/../secret",
        "{ml}/a/../../secret",
        "{ml}/a/model/../../../secret",
        "{ml}-other/model",
        "{ml}/to-secret",
        "{ml}/to-parent/secret",
        "{ml}/circle",
        "{ml}/half\ud800",
        "{ml}/nul\0",
        "ml/a/model",
        "http://169.254.169.254/latest/",
        "s3://bucket/model.tar.gz",
        "file://{ml}/a/model",
    ],
)
def test_folder_outside_the_platform_is_400(fake: Fake, tmp_path: Path, url: str) -> None:
    ml = tmp_path / "ml"
    shutil.copytree(ARTIFACT, tmp_path / "secret")
    shutil.copytree(ARTIFACT, tmp_path / "ml-other" / "model")
    (ml / "to-secret").symlink_to(tmp_path / "secret")
    (ml / "to-parent").symlink_to("..")
    (ml / "circle").symlink_to("circle")
    url = url.format(ml=ml)
    assert refused(lambda: fake.models.load_url("x", url)) == (
        400,
        f"url {url!r}: expected a folder below {ml}",
    )
    assert fake.asked == []


@pytest.mark.parametrize("name", ["long/" * 2_000, "long" * 100])
def test_too_long_path_is_400(fake: Fake, tmp_path: Path, name: str) -> None:
    status, reason = refused(lambda: fake.models.load_url("x", f"{tmp_path}/ml/{name}"))
    assert (status, "File name too long" in reason) == (400, True)


def test_platform_folder_is_opt_ml_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert Path("/opt/ml/models") == model_registry.MULTI_MODEL_FOLDER


def test_reason_is_ascii_in_json(fake: Fake) -> None:
    assert json.dumps(refused(lambda: fake.models.load_url("x", "/\ud800"))[1]).isascii()


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


def test_failed_load_has_the_workers_reason(fake: Fake) -> None:
    def fail() -> Response:
        (fake.folder / "workers" / "a" / "error").write_text("a weight is not finite")
        return Response(500)

    fake.answers["POST"] = fail
    assert refused(lambda: fake.models.load("a", ARTIFACT)) == (
        500,
        "model a cannot be loaded: a weight is not finite",
    )


def test_model_in_a_deeper_folder_is_named(tmp_path: Path) -> None:
    shutil.copytree(ARTIFACT, tmp_path / "model" / "toy")
    with pytest.raises(ArtifactError) as caught:
        check_model(tmp_path / "model")
    assert str(caught.value) == (
        f"the model is in {tmp_path}/model/toy, expected in {tmp_path}/model: pack the files without their "
        "folder, tar -C toy -czf model.tar.gz ."
    )


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ARTIFACT, folder)
    # Root reads everything.
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != name)
    with pytest.raises(ArtifactError) as caught:
        check_model(folder)
    assert str(caught.value) == (
        f"{folder / name} is not readable by user {os.geteuid()}: chmod -R a+rX {folder}"
    )
