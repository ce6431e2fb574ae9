"""Stopping jobs; SageMaker is a stub because moto has no stop calls."""

from typing import Any

import pytest
from botocore.stub import Stubber

from tests.jobs.conftest import Run, describe, endpoint, shown, training_job, transform_job, tuning_job


@pytest.mark.parametrize(
    ("shape", "description", "parameter"),
    [
        ("training_job", training_job("InProgress"), "TrainingJobName"),
        ("hyper_parameter_tuning_job", tuning_job("InProgress"), "HyperParameterTuningJobName"),
        ("transform_job", transform_job("InProgress"), "TransformJobName"),
    ],
)
def test_stop_sends_stop_request(
    run: Run, sagemaker: Stubber, shape: str, description: Any, parameter: str
) -> None:
    describe(sagemaker, **{shape: description})
    sagemaker.add_response(f"stop_{shape}", {}, {parameter: "sentiment-1"})
    assert "python -m jobs status sentiment-1" in run("stop", "sentiment-1").stderr


def test_stop_skips_finished_namesake(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, training_job=training_job("Completed"), transform_job=transform_job("InProgress"))
    sagemaker.add_response("stop_transform_job", {}, {"TransformJobName": "sentiment-1"})
    run("stop", "sentiment-1")


def test_stop_refuses_finished_job(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, training_job=training_job("Completed"))
    assert "training job sentiment-1 is Completed" in run("stop", "sentiment-1", code=1).stderr


def test_stop_endpoint_suggests_delete(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, endpoint=endpoint("InService"))
    result = run("stop", "sentiment-1", code=1)
    assert "endpoint sentiment-1 is InService; to delete the endpoint: python -m jobs delete" in result.stderr


def test_unknown_name_is_an_error(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker)
    result = run("stop", "sentiment-1", code=1)
    assert "no job or endpoint sentiment-1 in us-east-1" in result.stderr


def test_stop_dry_run_stops_nothing(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, training_job=training_job("InProgress"))
    result = run("stop", "sentiment-1", "--dry-run")
    assert shown(result, "StopTrainingJob") == {"TrainingJobName": "sentiment-1"}
