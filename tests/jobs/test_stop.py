"""Stopping; moto has no stop calls, so SageMaker is made up."""

from typing import Any

import pytest
from botocore.stub import Stubber

from tests.jobs.conftest import Run, describe, endpoint, shown, training_job, transform_job, tuning_job


@pytest.mark.parametrize(
    ("kind", "description", "parameter"),
    [
        ("training_job", training_job("InProgress"), "TrainingJobName"),
        ("hyper_parameter_tuning_job", tuning_job("InProgress"), "HyperParameterTuningJobName"),
        ("transform_job", transform_job("InProgress"), "TransformJobName"),
    ],
)
def test_each_kind(run: Run, sagemaker: Stubber, kind: str, description: Any, parameter: str) -> None:
    describe(sagemaker, **{kind: description})
    sagemaker.add_response(f"stop_{kind}", {}, {parameter: "sentiment-1"})
    assert "python -m jobs status sentiment-1" in run("stop", "sentiment-1").stderr


def test_of_two_with_one_name_the_running_one(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, training_job=training_job("Completed"), transform_job=transform_job("InProgress"))
    sagemaker.add_response("stop_transform_job", {}, {"TransformJobName": "sentiment-1"})
    run("stop", "sentiment-1")


def test_job_that_has_ended_is_told(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, training_job=training_job("Completed"))
    assert "training job sentiment-1 is Completed" in run("stop", "sentiment-1", code=1).stderr


def test_endpoint_is_to_be_deleted(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, endpoint=endpoint("InService"))
    result = run("stop", "sentiment-1", code=1)
    assert "endpoint sentiment-1 is InService; an endpoint is deleted: python -m jobs delete" in result.stderr


def test_unknown_name_is_told(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker)
    result = run("stop", "sentiment-1", code=1)
    assert "there is no job or endpoint sentiment-1 in us-east-1" in result.stderr


def test_dry_run_stops_nothing(run: Run, sagemaker: Stubber) -> None:
    describe(sagemaker, training_job=training_job("InProgress"))
    result = run("stop", "sentiment-1", "--dry-run")
    assert shown(result, "StopTrainingJob") == {"TrainingJobName": "sentiment-1"}
