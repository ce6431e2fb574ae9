"""Observations of sdk/version2.py: the SageMaker Python SDK 2 drives the image in local mode."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sentiment.model.predictor import Predictor
from tests.image.conftest import Review, free_port, run_local_mode, write_reviews
from tests.image.containers import composed_log, unexpected

# This line of the 25,000 of the long batch is invalid.
BAD_LINE = 12_345
SCRIPT = str(Path(__file__).with_name("sdk") / "version2.py")


@pytest.fixture(scope="module")
def texts(reviews: list[Review]) -> list[str]:
    """Reviews for batch transform with line ends, quotes and separators in them."""
    return [f'{text}\n"quoted", \\and\r\nmore' for text, _ in reviews[:4] + reviews[-4:]]


@pytest.fixture(scope="module")
def folder(
    image: str,
    reviews: list[Review],
    all_reviews: list[Review],
    texts: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of a run of the script; its log is ``log``."""
    folder = tmp_path_factory.mktemp("sdk2")
    write_reviews(folder / "training" / "reviews.csv", reviews)
    (folder / "batch").mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "batch" / "reviews.jsonl").write_text(lines)
    (folder / "all").mkdir()
    every = [json.dumps({"text": text}) for text, _ in all_reviews]
    every[BAD_LINE] = '{"text": 1}'
    (folder / "all" / "reviews.jsonl").write_text("".join(line + "\n" for line in every))
    log = run_local_mode("sdk2", SCRIPT, image, str(folder), str(free_port()), folder=folder, seconds=900)
    (folder / "log").write_text(log)
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """The observations of the script."""
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    """The trained model, outside of the image."""
    (folder / "model").mkdir()
    # Not tarfile, whose "filter" is missing in Debian 12's Python and required in Python 3.14.
    subprocess.run(["tar", "-xf", folder / "output" / "model.tar.gz", "-C", folder / "model"], check=True)
    return Predictor.load(folder / "model")


@pytest.fixture(scope="module")
def outside(predictor: Predictor, texts: list[str]) -> list[float]:
    """The predictions for the batch."""
    return [prediction["probability"] for prediction in predictor.predict(texts)]


def test_fit_leaves_an_artifact(seen: dict[str, Any]) -> None:
    assert seen["fit"]["model"] == ["artifact.json", "model.json", "model.safetensors", "vocabulary.json"]


def test_fit_leaves_metrics(seen: dict[str, Any]) -> None:
    assert "data/metrics.json" in seen["fit"]["output"]


def test_fit_takes_hyperparameters_of_all_types(seen: dict[str, Any]) -> None:
    expected = {"epochs": 1, "hidden_dim": 16, "learning_rate": 0.01, "truncate": "head"}
    assert seen["fit"]["hyperparameters"] == expected


def test_user_entry_point_is_run(seen: dict[str, Any]) -> None:
    assert seen["own"]["received"] == seen["own"]["sent"]


@pytest.mark.parametrize("serializer", ["json", "csv"])
def test_endpoint_answers_the_sdks_serializer(seen: dict[str, Any], serializer: str) -> None:
    predictions = seen["predict"][serializer]
    assert [prediction["label"] in ("positive", "negative") for prediction in predictions] == [True, True]


def test_both_serializers_get_same_answer(seen: dict[str, Any]) -> None:
    assert seen["predict"]["csv"] == seen["predict"]["json"]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_batch_transform_answers_by_line(seen: dict[str, Any], outside: list[float], strategy: str) -> None:
    *lines, end = seen[strategy]["lines"]
    assert end == ""
    assert [json.loads(line)["probability"] for line in lines] == pytest.approx(outside, abs=1e-5)


def test_batch_transform_answers_a_long_file(
    seen: dict[str, Any], predictor: Predictor, all_reviews: list[Review]
) -> None:
    *lines, end = seen["all"]["lines"]
    assert end == ""
    answers = [json.loads(line) for line in lines]
    assert [i for i, answer in enumerate(answers) if "error" in answer] == [BAD_LINE]
    some = [i for i in range(0, len(all_reviews), 50) if i != BAD_LINE]
    expected = [
        prediction["probability"] for prediction in predictor.predict([all_reviews[i][0] for i in some])
    ]
    assert len(answers) == len(all_reviews)
    assert [answers[i]["probability"] for i in some] == pytest.approx(expected, abs=1e-5)


def test_containers_log_nothing_suspicious(folder: Path) -> None:
    log = composed_log((folder / "log").read_text())
    assert "the model is loaded" in log
    assert unexpected(log) == []
