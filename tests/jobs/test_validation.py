"""Requests that SageMaker would refuse."""

import json
import re
from typing import Any

import botocore.session
import pytest

from jobs import overrides
from jobs.aws_request import Request
from jobs.validation import InvalidRequestError, compile_java
from tests.jobs.conftest import ROLE, Run

TRAIN: dict[str, Any] = {
    "TrainingJobName": "a",
    "RoleArn": ROLE,
    "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
    "OutputDataConfig": {"S3OutputPath": "s3://mine/a/"},
    "ResourceConfig": {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "Tags": [{"Key": "a", "Value": "b"}],
}
TUNE: dict[str, Any] = {
    "HyperParameterTuningJobName": "a",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 750, "MaxParallelTrainingJobs": 100},
    },
    "TrainingJobDefinition": {
        "AlgorithmSpecification": TRAIN["AlgorithmSpecification"],
        "RoleArn": ROLE,
        "OutputDataConfig": TRAIN["OutputDataConfig"],
        "StoppingCondition": TRAIN["StoppingCondition"],
    },
}
TRANSFORM: dict[str, Any] = {
    "TransformJobName": "a",
    "ModelName": "a",
    "MaxConcurrentTransforms": 100,
    "MaxPayloadInMB": 1,
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://mine/a/"}}},
    "TransformOutput": {"S3OutputPath": "s3://mine/a/"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}
SERVERLESS = {
    "VariantName": "a",
    "ModelName": "a",
    "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
}
ENDPOINT: dict[str, Any] = {"EndpointConfigName": "a", "ProductionVariants": [SERVERLESS]}
REQUESTS = {
    operation: Request("sagemaker", operation, parameters)
    for operation, parameters in {
        "CreateTrainingJob": TRAIN, "CreateHyperParameterTuningJob": TUNE, "CreateTransformJob": TRANSFORM,
        "CreateEndpointConfig": ENDPOINT,
    }.items()
}  # fmt: skip
TRAINING, TUNING = "CreateTrainingJob", "CreateHyperParameterTuningJob"
LIMITS = "HyperParameterTuningJobConfig.ResourceLimits"
SERVERLESS_LIMITS = "ProductionVariants.0.ServerlessConfig"
PREFERENCES = '[{"InstanceType": "ml.g5.xlarge"}]'


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=lambda request: request.operation)
def test_valid_request_passes(request_: Request) -> None:
    request_.check()


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"TrainingJobName": "a"}, 'Missing required parameter in input: "RoleArn"'),
        ({"TrainingJobName": 7}, "Invalid type for parameter TrainingJobName"),
        ({"TrainingJobname": "a"}, 'Unknown parameter in input: "TrainingJobname"'),
    ],
)
def test_wrong_structure_is_refused(parameters: dict[str, object], fault: str) -> None:
    with pytest.raises(InvalidRequestError, match=fault):
        Request("sagemaker", "CreateTrainingJob", parameters).check()


@pytest.mark.parametrize(
    ("operation", "setting", "fault"),
    [
        (TRAINING, "TrainingJobName=a_b", "TrainingJobName: a_b does not match"),
        (TRAINING, "ResourceConfig.InstanceType=ml.p3.3xlarge", "is not among .* ml.p3.2xlarge"),
        (TRAINING, "ResourceConfig.KeepAlivePeriodInSeconds=21601", "21601 exceeds 21600"),
        (TRAINING, f"HyperParameters.a={'b' * 2501}", "HyperParameters.a: the length exceeds 2500"),
        (TRAINING, "Tags.0.Value=a;b", "Tags.0.Value: a;b does not match"),
        (TRAINING, f"Tags.0.Value={'b' * 257}", "Tags.0.Value: the length exceeds 256"),
        (TRAINING, 'Tags.1={"Key": "a", "Value": "c"}', "the key a is set 2 times"),
        (TRAINING, "Tags.0.Key=AWS:a", "the key AWS:a begins with aws:, which is reserved"),
        (TRAINING, "StoppingCondition.MaxRuntimeInSeconds=2419201", "at most 2419200"),
        (TRAINING, "StoppingCondition.MaxWaitTimeInSeconds=60", "needs EnableManagedSpotTraining"),
        (TRAINING, "EnableManagedSpotTraining=true", "MaxWaitTimeInSeconds includes the run"),
        (TRAINING, f"ResourceConfig.InstancePreferences={PREFERENCES}", "exclude each other"),
        (TUNING, f"{LIMITS}.MaxNumberOfTrainingJobs=751", "751 jobs; .* at most 750"),
        (TUNING, f"{LIMITS}.MaxParallelTrainingJobs=101", "101 parallel jobs; .* at most 100"),
        ("CreateTransformJob", "MaxPayloadInMB=2", "MaxPayloadInMB is 200; at most 100"),
        ("CreateTransformJob", "TransformInput.DataSource.S3DataSource.S3Uri=mine/a", "does not match"),
        ("CreateEndpointConfig", f"{SERVERLESS_LIMITS}.MemorySizeInMB=3000", "endpoints have 1024, 2048"),
        ("CreateEndpointConfig", f"{SERVERLESS_LIMITS}.MaxConcurrency=201", "201 exceeds 200"),
    ],
)  # fmt: skip
def test_value_outside_limits_is_refused(operation: str, setting: str, fault: str) -> None:
    (request,) = overrides.apply([REQUESTS[operation]], [setting])
    with pytest.raises(InvalidRequestError, match=fault):
        request.check()


def test_random_search_has_more_jobs() -> None:
    settings = [f"{LIMITS}.MaxNumberOfTrainingJobs=10000", "HyperParameterTuningJobConfig.Strategy=Random"]
    (request,) = overrides.apply([REQUESTS["CreateHyperParameterTuningJob"]], settings)
    request.check()


def test_each_definition_of_tuning_is_checked() -> None:
    definition = TUNE["TrainingJobDefinition"] | {"StoppingCondition": {"MaxRuntimeInSeconds": 2_419_201}}
    settings = ["TrainingJobDefinition=null", f"TrainingJobDefinitions={json.dumps([definition])}"]
    (request,) = overrides.apply([REQUESTS[TUNING]], settings)
    with pytest.raises(InvalidRequestError, match="at most 2419200"):
        request.check()


def test_every_fault_is_reported() -> None:
    settings = ["TrainingJobName=a_b", "Tags.0.Key=aws:a"]
    (request,) = overrides.apply([REQUESTS["CreateTrainingJob"]], settings)
    with pytest.raises(InvalidRequestError, match=r"(?s)TrainingJobName.*Tags"):
        request.check()


def test_tag_accepts_letters_of_any_script() -> None:
    (request,) = overrides.apply([REQUESTS["CreateTrainingJob"]], ["Tags.0.Value=Größe 5 東京"])
    request.check()


def test_patterns_of_sagemaker_compile() -> None:
    """Only surrogates, which Python's strings lack, and classes of symbols are skipped."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    patterns = {shape.metadata.get("pattern", "") for shape in map(model.shape_for, model.shape_names)}
    skipped = {pattern for pattern in patterns if compile_java(pattern) is None}
    assert len(patterns) > 200
    assert all(re.search(r"\\p\{(S|P|Alnum)\}|\\uD800", pattern) for pattern in skipped)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["train", "--tag", "a=1", "--tag", "a=2"], "the key a is set 2 times"),
        (["train", "--tag", "project=mine"], "the key project is set 2 times"),
        (["train", "--tag", "aws:team=1"], "begins with aws:"),
        (["train", "--max-minutes", "50000"], "at most 2419200 \\(28 days\\) allowed"),
        (["tune", "--jobs", "1000"], "1000 jobs; a tuning job has at most 750"),
        (["tune", "--jobs", "200", "--parallel", "101"], "101 parallel jobs; a tuning job has at most 100"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["sent", "dry-run"])
def test_command_refuses_invalid_request(
    run: Run, uploaded: None, arguments: list[str], more: list[str], fault: str
) -> None:
    assert re.search(fault, run(*arguments, *more, code=1).stderr)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--mode", "serverless", "--memory-mb", "3000"], "serverless endpoints have 1024"),
        (["--mode", "serverless", "--memory-mb", "7168"], "7168 exceeds 6144"),
        (["--mode", "serverless", "--max-concurrency", "201"], "201 exceeds 200"),
        (["--mode", "asynchronous", "--max-concurrency", "1001"], "1001 exceeds 1000"),
        (["--data-capture", "101"], "101 exceeds 100"),
        (["--instance-type", "ml.m5.small"], "ml.m5.small is not among"),
        (["--inference-ami", "newest"], "newest is not among"),
    ],
)
def test_deploy_refuses_invalid_request(run: Run, trained: str, arguments: list[str], fault: str) -> None:
    assert fault in run("deploy", trained, "--dry-run", *arguments, code=1).stderr
