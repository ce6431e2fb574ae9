"""Tuning jobs: tuning file, request and output."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from jobs.model_package import DEFAULT, ModelPackage
from jobs.tune import RANGES
from sentiment.hyperparameters import Hyperparameters
from tests.jobs.conftest import ROLE, Run, best_job, shown, tuning_job

TUNING = json.loads((DEFAULT / "tuning.json").read_text())
METRICS = ModelPackage(DEFAULT).metric_definitions
ENTRIES = [entry for key in RANGES for entry in TUNING["ParameterRanges"][key]]


def dry_run(run: Run, *arguments: str | Path) -> dict[str, Any]:
    result = run("tune", "--dry-run", "--name", "sentiment-t", *arguments)
    return shown(result, "CreateHyperParameterTuningJob")


def test_tuning_objective_is_a_metric() -> None:
    objective = TUNING["HyperParameterTuningJobObjective"]["MetricName"]
    assert objective in [metric["Name"] for metric in METRICS]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["Name"])
def test_tuning_range_contains_default(entry: dict[str, Any]) -> None:
    default = getattr(Hyperparameters(), entry["Name"])
    if "Values" in entry:
        assert default in entry["Values"]
    else:
        assert float(entry["MinValue"]) < default < float(entry["MaxValue"])


def test_tuning_range_matches_field_type() -> None:
    types = {field.name: field.type for field in fields(Hyperparameters)}
    for key, expected in zip(RANGES, (float, int, str), strict=True):
        assert {types[entry["Name"]] for entry in TUNING["ParameterRanges"][key]} == {expected}


@pytest.mark.usefixtures("uploaded")
def test_tuning_request(run: Run) -> None:
    request = dry_run(run, "--jobs", "3", "--parallel", "5")
    config = request["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Bayesian"
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}
    assert config["ParameterRanges"] == TUNING["ParameterRanges"]
    definition = request["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"] == {}
    assert definition["RoleArn"] == ROLE
    assert definition["AlgorithmSpecification"]["MetricDefinitions"] == METRICS


@pytest.mark.usefixtures("uploaded")
def test_fixed_value_is_not_tuned(run: Run) -> None:
    request = dry_run(run, "learning-rate=0.001")
    assert request["TrainingJobDefinition"]["StaticHyperParameters"]["learning_rate"] == "0.001"
    ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]["ContinuousParameterRanges"]
    assert "learning_rate" not in [entry["Name"] for entry in ranges]


@pytest.mark.usefixtures("uploaded")
def test_spot_tuning_has_no_checkpoints(run: Run) -> None:
    definition = dry_run(run, "--spot")["TrainingJobDefinition"]
    assert definition["EnableManagedSpotTraining"] is True
    assert "CheckpointConfig" not in definition


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "expected the format of"),
        ("{}", "KeyError('ParameterRanges'); expected the format of"),
        (
            {"Name": "dropout", "MinValue": "0.5", "MaxValue": "2"},
            "hyperparameter dropout: '2' is not a number",
        ),
        (
            {"Name": "drop", "MinValue": "0.5", "MaxValue": "2"},
            "unknown hyperparameter 'drop'; did you mean 'dropout'?",
        ),
    ],
)
def test_invalid_tuning_file_is_refused(run: Run, tmp_path: Path, content: Any, message: str) -> None:
    if not isinstance(content, str):
        content = json.dumps(TUNING | {"ParameterRanges": {"ContinuousParameterRanges": [content]}})
    (tmp_path / "mine.json").write_text(content)
    assert message in run("tune", "--tuning", tmp_path / "mine.json", code=1).stderr


def test_unknown_objective_is_refused(run: Run, tmp_path: Path) -> None:
    objective = {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"}}
    (tmp_path / "mine.json").write_text(json.dumps(TUNING | objective))
    result = run("tune", "--tuning", tmp_path / "mine.json", code=1)
    assert "no metric accuracy in the package's metric_definitions.json" in result.stderr


def test_nothing_to_tune_is_refused(run: Run) -> None:
    fixed = [f"{entry['Name']}={getattr(Hyperparameters(), entry['Name'])}" for entry in ENTRIES]
    assert "nothing to tune" in run("tune", *fixed, code=1).stderr


@pytest.mark.usefixtures("uploaded")
def test_tune_prints_best_values(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response(
        "create_hyper_parameter_tuning_job", {"HyperParameterTuningJobArn": "a"}, dry_run(run)
    )
    best = best_job(dropout="0.4", pooling="max")
    sagemaker.add_response("describe_hyper_parameter_tuning_job", tuning_job("Completed", **best))
    result = run("tune", "--name", "sentiment-t")
    assert result.stdout == "dropout=0.4\npooling=max\n"
    assert "next: python -m jobs deploy sentiment-t-003" in result.stderr
