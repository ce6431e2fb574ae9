"""Training jobs of the tests."""

import logging
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PLAIN, make_base
from tests.support.training_jobs import REVIEWS, Run, train

QUICK = PLAIN | {"epochs": "2", "hidden_dim": "8", "embedding_dim": "8", "batch_size": "8"}


@pytest.fixture
def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Runs a job over a folder in the layout of /opt/ml, and returns the folder."""
    before = signal.getsignal(signal.SIGTERM)
    caplog.set_level(logging.INFO)

    def start(
        hyperparameters: dict[str, str] | None = None,
        *,
        name: str = "ml",
        pretrained: Path | None = None,
        **channels: Any,
    ) -> Path:
        folder = tmp_path / name
        shutil.rmtree(folder / "input", ignore_errors=True)
        make_base(folder, QUICK | (hyperparameters or {}), **(channels or {"training": REVIEWS}))
        if pretrained is not None:
            shutil.copytree(pretrained, folder / "input" / "data" / "pretrained")
        return train(folder)

    yield start
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """The checkpoint folder, which makes the job write checkpoints."""
    folder = tmp_path / "ml" / "checkpoints"
    folder.mkdir(parents=True)
    return folder
