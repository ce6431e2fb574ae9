"""A tuning round with the real ``train`` program, and the metric definitions on what it prints."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobs import local_tuning
from jobs.__main__ import main
from jobs.local_tuning import metrics
from jobs.train import METRICS
from tests.conftest import PLAIN, make_base, write_csv
from tests.support.programs import run_train

pytestmark = pytest.mark.whole_path

FIXED = PLAIN | {"epochs": "1", "hidden_dim": "4", "vocab_size": "500"}
JOBS = 3


@pytest.fixture(scope="module")
def output(few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a real job with a test channel printed, and its folder."""
    values = FIXED | {"epochs": "2"}
    base = make_base(
        tmp_path_factory.mktemp("ml"), values, training=few_reviews[100:], test=few_reviews[:100]
    )
    result = run_train(base)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr, base


@pytest.mark.parametrize("definition", METRICS, ids=lambda definition: definition["Name"])
def test_every_metric_is_found_in_the_output_of_a_job(definition: Any, output: tuple[str, Path]) -> None:
    assert metrics([definition], output[0])[definition["Name"]] >= 0


def test_each_epoch_has_its_own_value(output: tuple[str, Path]) -> None:
    """One word of a line for each metric, so that no other line is taken for it."""
    for name in ("train_loss", "validation_loss", "reviews_per_second"):
        (definition,) = [each for each in METRICS if each["Name"] == name]
        assert len(re.findall(definition["Regex"], output[0])) == 2


def test_last_values_are_those_of_the_saved_model(output: tuple[str, Path]) -> None:
    """A tuning job judges by the last value that it sees."""
    recorded = json.loads((output[1] / "output" / "data" / "metrics.json").read_text())
    found = metrics(METRICS, output[0])
    for name in ("validation", "test"):
        for figure in ("accuracy", "f1", "roc_auc", "log_loss", "calibration_error"):
            assert found[f"{name}_{figure}"] == pytest.approx(recorded[name][figure], abs=1e-4)


@pytest.fixture(scope="module")
def tuned(
    few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Result, Path]:
    """What a round printed, and the folder of its jobs."""
    folder = tmp_path_factory.mktemp("tuning")
    reviews = folder / "my reviews"
    write_csv(reviews / "reviews.csv", few_reviews)
    fixed = [f"{name}={value}" for name, value in FIXED.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_tuning, "RESULTS", folder)
        options = ["--local", str(reviews), "--name", "round", "--jobs", str(JOBS)]
        result = CliRunner().invoke(main, ["tune", *fixed, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result, folder / "round"


def test_each_job_has_settings_of_its_own(tuned: tuple[Result, Path]) -> None:
    sent = [json.loads(path.read_text()) for path in sorted(tuned[1].glob("*/input/config/hyper*.json"))]
    assert len({json.dumps(values) for values in sent}) == len(sent) == JOBS
    for values in sent:
        assert values.items() >= FIXED.items()
        assert 0.0003 <= float(values["learning_rate"]) <= 0.01
        assert values["_tuning_objective_metric"] == "validation_accuracy"


def test_each_job_leaves_what_a_job_leaves(tuned: tuple[Result, Path]) -> None:
    assert len(list(tuned[1].glob("*/model/model.safetensors"))) == JOBS


def test_best_is_the_most_accurate(tuned: tuple[Result, Path]) -> None:
    result, folder = tuned
    accuracies = {
        path.parents[2]: json.loads(path.read_text())["validation"]["accuracy"]
        for path in folder.glob("*/output/data/metrics.json")
    }
    best = max(accuracies.values())
    assert f"best validation_accuracy: {best:.4f}" in result.stdout
    model = Path(result.stderr.rpartition("model: ")[2].strip())
    assert accuracies[model.parent] == best
