"""Loading and unloading of models."""

import socket
import threading
from pathlib import Path

import pytest

from serving.model_registry import Model
from tests.support.fake_registry import Fake, names, refused
from tests.support.toy import ARTIFACT
from tests.support.unix_http import Response


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
    with pytest.raises(OSError, match="incomplete answer"):
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


def test_failed_load_has_the_workers_reason(fake: Fake) -> None:
    def fail() -> Response:
        (fake.folder / "workers" / "a" / "error").write_text("a weight is not finite")
        return Response(500)

    fake.answers["POST"] = fail
    assert refused(lambda: fake.models.load("a", ARTIFACT)) == (
        500,
        "model a cannot be loaded: a weight is not finite",
    )
