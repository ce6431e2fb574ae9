"""Shared fixtures."""

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from serving import nginx

ROOT = Path(__file__).resolve().parents[1]
REVIEWS = ROOT / ".cache" / "reviews.csv"


def skip_or_fail(message: str) -> NoReturn:
    """Skip a test whose requirement is missing; fail it in CI, where everything must be present."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _denormals() -> Iterator[None]:
    """Undo that training flushes denormals to zero, which breaks hypothesis in later tests."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def nginx_program() -> str:
    """Path of the real nginx."""
    try:
        return nginx.find()
    except FileNotFoundError as error:
        skip_or_fail(f"not tested: {error}")


@pytest.fixture(scope="session")
def real_reviews() -> list[tuple[str, str]]:
    """The 25,000 real reviews as (text, label); ``tests/run.sh`` fetches them."""
    assert REVIEWS.is_file(), f"{REVIEWS} is missing; tests/run.sh fetches it"
    with REVIEWS.open(newline="", encoding="utf-8") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="session")
def few_reviews(real_reviews: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """400 real reviews, as many positive as negative."""
    positive = [review for review in real_reviews if review[1] == "1"]
    negative = [review for review in real_reviews if review[1] == "0"]
    return [review for pair in zip(positive[:200], negative[:200], strict=True) for review in pair]


def write_csv(path: Path, reviews: list[tuple[str, str]]) -> None:
    """Write reviews as a CSV with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *reviews])


# For jobs of tests with another subject: no pretraining, which takes seconds; a high learning rate; and the
# same precision on all machines.
PLAIN = {
    "precision": "fp32",
    "pretraining_epochs": "0",
    "ngram_weight": "0",
    "pooling": "max",
    "embedding_lr_scale": "1",
    "weight_decay": "0",
    "ema_decay": "0",
    "word_dropout": "0",
}


def make_base(folder: Path, hyperparameters: dict[str, Any], **channels: list[tuple[str, str]]) -> Path:
    """Create a folder in the layout of /opt/ml before training, with a CSV of reviews per channel."""
    configuration = {
        "hyperparameters": hyperparameters,
        "inputdataconfig": {name: {"TrainingInputMode": "File"} for name in channels},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    config = folder / "input" / "config"
    config.mkdir(parents=True)
    for name, content in configuration.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    (folder / "output").mkdir(exist_ok=True)
    for name, reviews in channels.items():
        write_csv(folder / "input" / "data" / name / "reviews.csv", reviews)
    return folder
