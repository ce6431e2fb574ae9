"""The metric definitions of the sentiment package, against the output of a real training job."""

import json
import re
from pathlib import Path

import pytest

from jobs.model_package import DEFAULT, ModelPackage
from tests.conftest import PLAIN, make_base
from tests.support.programs import run_train

pytestmark = pytest.mark.whole_path

METRICS = ModelPackage(DEFAULT).metric_definitions
VALUES = PLAIN | {"pretraining_epochs": "1", "epochs": "2", "hidden_dim": "4", "vocab_size": "500"}


def last_value(name: str, log: str) -> float:
    """The value of a metric that SageMaker keeps: the last one in the log."""
    (definition,) = [definition for definition in METRICS if definition["Name"] == name]
    return float(re.findall(definition["Regex"], log)[-1])


@pytest.fixture(scope="module")
def output(few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The output of a real job with a test channel, and its folder."""
    base = make_base(
        tmp_path_factory.mktemp("ml"), VALUES, training=few_reviews[100:], test=few_reviews[:100]
    )
    result = run_train(base)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr, base


@pytest.mark.parametrize("name", [definition["Name"] for definition in METRICS])
def test_job_prints_every_metric(name: str, output: tuple[str, Path]) -> None:
    assert last_value(name, output[0]) >= 0


def test_epoch_metrics_match_once_an_epoch(output: tuple[str, Path]) -> None:
    """No other line of the log matches."""
    for name in ("train_loss", "validation_loss", "reviews_per_second"):
        (definition,) = [definition for definition in METRICS if definition["Name"] == name]
        assert len(re.findall(definition["Regex"], output[0])) == 2


def test_last_values_describe_saved_model(output: tuple[str, Path]) -> None:
    """A tuning job compares the last value of each training job."""
    recorded = json.loads((output[1] / "output" / "data" / "metrics.json").read_text())
    for part in ("validation", "test"):
        for metric in ("accuracy", "f1", "roc_auc", "log_loss", "calibration_error"):
            assert last_value(f"{part}_{metric}", output[0]) == pytest.approx(
                recorded[part][metric], abs=1e-4
            )
