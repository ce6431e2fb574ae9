"""``--set PATH=VALUE``."""

from typing import Any

import click
import pytest

from jobs.aws_request import sagemaker
from jobs.overrides import apply
from tests.jobs.conftest import Run, shown

TAGS = [{"Key": "a", "Value": "b"}]


def changed(*settings: str, **parameters: Any) -> dict[str, Any]:
    (request,) = apply([sagemaker("CreateTrainingJob", **parameters)], settings)
    return request.parameters


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            "ResourceConfig.KeepAlivePeriodInSeconds=600",
            {"ResourceConfig": {"KeepAlivePeriodInSeconds": 600}},
        ),
        ("EnableManagedSpotTraining=true", {"EnableManagedSpotTraining": True}),
        ("Environment.A=1", {"Environment": {"A": "1"}}),
        ('Environment.A="null"', {"Environment": {"A": "null"}}),
        ("TrainingJobName=a=b", {"TrainingJobName": "a=b"}),
        ('VpcConfig={"Subnets": ["a"]}', {"VpcConfig": {"Subnets": ["a"]}}),
        ("InputDataConfig.0.ContentType=text/csv", {"InputDataConfig": [{"ContentType": "text/csv"}]}),
        ("CreateTrainingJob.TrainingJobName=a", {"TrainingJobName": "a"}),
    ],
)
def test_set_adds_parameter(setting: str, expected: dict[str, Any]) -> None:
    assert changed(setting) == expected


def test_set_keeps_neighbors() -> None:
    assert changed("Tags.0.Value=c", Tags=TAGS) == {"Tags": [{"Key": "a", "Value": "c"}]}
    assert changed('Tags.1={"Key": "c"}', Tags=TAGS) == {"Tags": [*TAGS, {"Key": "c"}]}


def test_null_removes_parameter() -> None:
    assert changed("Tags=null", Tags=TAGS, TrainingJobName="a") == {"TrainingJobName": "a"}
    assert changed("Tags.0=null", Tags=TAGS) == {"Tags": []}


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("ResourceConfig", "--set ResourceConfig: expected PATH=VALUE"),
        ("Resourceconfig.a=1", "CreateTrainingJob has no Resourceconfig; did you mean ResourceConfig?"),
        ("ResourceConfig.KeepAlive=1", "ResourceConfig has no KeepAlive"),
        ("TrainingJobName.a=1", "a string has no a"),
        ("Tags.first=1", "first is no index of a list of 0"),
        ("Tags.1=1", "1 is no index of a list of 0"),
    ],
)
def test_unknown_path_is_refused(setting: str, fault: str) -> None:
    with pytest.raises(click.UsageError, match=fault):
        changed(setting)


def test_path_selects_its_request(run: Run, trained: str) -> None:
    result = run("deploy", trained, "--dry-run", "--set", "PrimaryContainer.Environment.SERVE_MAX_TEXTS=7")
    assert shown(result, "CreateModel")["PrimaryContainer"]["Environment"] == {"SERVE_MAX_TEXTS": "7"}


def test_ambiguous_path_needs_operation(run: Run, trained: str) -> None:
    options = ["deploy", trained, "--dry-run", "--set"]
    fault = "begin the path with the operation: CreateModel or CreateEndpointConfig"
    assert fault in run(*options, "ExecutionRoleArn=a", code=2).stderr
    result = run(*options, "CreateEndpointConfig.VpcConfig={}", code=1)
    assert 'Missing required parameter in VpcConfig: "Subnets"' in result.stderr


def test_set_changes_tuning_job(run: Run, uploaded: None) -> None:
    result = run("tune", "--dry-run", "--set", "HyperParameterTuningJobConfig.Strategy=Random")
    config = shown(result, "CreateHyperParameterTuningJob")["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Random"


def test_wrong_type_is_not_sent(run: Run, uploaded: None) -> None:
    result = run("train", "--set", "RetryStrategy.MaximumRetryAttempts=often", code=1)
    assert "Invalid type for parameter RetryStrategy.MaximumRetryAttempts" in result.stderr
