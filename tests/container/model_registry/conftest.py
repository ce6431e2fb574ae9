"""A registry of models over a fake model server."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving import cgroup, model_registry
from serving.model_registry import ModelRegistry
from serving.model_server import ModelServer
from serving.settings import Settings
from tests.support.fake_registry import MULTI_MODEL, Fake
from tests.support.toy import ARTIFACT
from tests.support.unix_http import Response, answering


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
