"""A worker that has loaded the toy model."""

import faulthandler
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inference
from byoc.serving import json_log
from tests.support import toy
from tests.support.handler import (
    context,
)


def make_folders(folder: Path, artifact: Path = toy.ARTIFACT) -> Path:
    """Create the folders of container/serving/model_registry.py; returns the model directory."""
    for name in ("models/model", "artifacts", "workers/model"):
        (folder / name).mkdir(parents=True)
    (folder / "artifacts" / "model").symlink_to(artifact)
    return folder / "models" / "model"


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a worker that has loaded the model, without its log and signal handlers."""
    folder = tmp_path_factory.mktemp("serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_PACKAGE", "tests.support.toy")
        patch.setattr(json_log, "use", lambda *_: None)
        patch.setattr(faulthandler, "enable", lambda: None)
        assert inference.handle(None, context(make_folders(folder))) is None
        yield folder


@pytest.fixture
def reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the model with these variables, for one test."""
    monkeypatch.setenv("MODEL_PACKAGE", "tests.support.toy")
    monkeypatch.setattr(inference, "_worker", None)

    def load(artifact: Path = toy.ARTIFACT, gpu: int | None = None, **environment: str) -> Path:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        inference.handle(None, context(make_folders(tmp_path, artifact), gpu=gpu))
        return tmp_path

    return load
