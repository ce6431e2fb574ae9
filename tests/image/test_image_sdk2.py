"""The SageMaker Python SDK 2 drives the image in its local mode: what sdk/version2.py saw, fact by fact."""

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from image.conftest import Review, free_port, make_venv, sdk_environment, write_reviews
from image.containers import composed_log, remove_composed, unexpected
from sentiment.predictor import Predictor

SCRIPT = str(Path(__file__).with_name("sdk") / "version2.py")


@pytest.fixture(scope="module")
def texts(reviews: list[Review]) -> list[str]:
    """Reviews for batch transform, with all that makes lines and fields hard to tell apart."""
    return [f'{text}\n"quoted", \\and\r\nmore' for text, _ in reviews[:4] + reviews[-4:]]


@pytest.fixture(scope="module")
def folder(
    image: str, reviews: list[Review], texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder in which the script has run; its log is in ``log``."""
    folder = tmp_path_factory.mktemp("sdk2")
    write_reviews(folder / "training" / "reviews.csv", reviews)
    (folder / "batch").mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "batch" / "reviews.jsonl").write_text(lines)
    command = [str(make_venv("sdk2") / "python"), SCRIPT, image, str(folder), str(free_port())]
    try:
        with (folder / "log").open("wb") as log:
            done = subprocess.run(
                command, env=sdk_environment(folder), stdout=log, stderr=log, check=False, timeout=900
            )
        assert done.returncode == 0, (folder / "log").read_text()[-20_000:]
    finally:
        remove_composed()
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """What the script saw."""
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


@pytest.fixture(scope="module")
def outside(folder: Path, texts: list[str]) -> list[float]:
    """What the trained model predicts for the batch outside of the image."""
    with tarfile.open(folder / "output" / "model.tar.gz") as files:
        files.extractall(folder / "model", filter="data")
    predictor = Predictor.load(folder / "model", "cpu")
    return [prediction.probability for prediction in predictor.predict(texts)]


def test_fit_leaves_an_artifact(seen: dict[str, Any]) -> None:
    assert seen["fit"]["model"] == ["model.json", "model.safetensors", "vocabulary.json"]


def test_fit_leaves_metrics(seen: dict[str, Any]) -> None:
    assert "data/metrics.json" in seen["fit"]["output"]


def test_fit_takes_hyperparameters_of_every_type(seen: dict[str, Any]) -> None:
    expected = {"epochs": 1, "hidden_dim": 16, "learning_rate": 0.01, "truncate": "head"}
    assert seen["fit"]["hyperparameters"] == expected


def test_a_users_entry_point_runs_instead_of_ours(seen: dict[str, Any]) -> None:
    assert seen["own"]["received"] == seen["own"]["sent"]


@pytest.mark.parametrize("serializer", ["json", "csv"])
def test_an_endpoint_answers_the_sdks_serializer(seen: dict[str, Any], serializer: str) -> None:
    predictions = seen["predict"][serializer]
    assert [prediction["label"] in ("positive", "negative") for prediction in predictions] == [True, True]


def test_both_serializers_get_the_same_answer(seen: dict[str, Any]) -> None:
    assert seen["predict"]["csv"] == seen["predict"]["json"]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_batch_transform_answers_line_by_line(
    seen: dict[str, Any], outside: list[float], strategy: str
) -> None:
    *lines, end = seen[strategy]["lines"]
    assert end == ""
    assert [json.loads(line)["probability"] for line in lines] == pytest.approx(outside, abs=1e-5)


def test_the_containers_logged_nothing_suspicious(folder: Path) -> None:
    log = composed_log((folder / "log").read_text(errors="replace"))
    assert "the model is loaded" in log
    assert unexpected(log) == []
