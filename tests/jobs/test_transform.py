"""Batch transform."""

from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from tests.jobs.conftest import BUCKET, REGION, Run, shown, training_job, transform_job

NAME = ["--name", "sentiment-p"]


@pytest.fixture
def to_predict(run: Run, to_predict_folder: Path) -> str:
    """S3 URI of texts to predict."""
    return run("upload", to_predict_folder, "--channel", "to-predict").stdout.strip()


def test_transform_request(run: Run, trained: str, to_predict: str) -> None:
    request = shown(run("transform", trained, *NAME, "--dry-run"), "CreateTransformJob")
    assert request["BatchStrategy"] == "MultiRecord"
    assert request["TransformInput"] == {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": to_predict}},
        "ContentType": "application/jsonlines",
        "SplitType": "Line",
    }
    assert request["TransformOutput"] == {
        "S3OutputPath": f"s3://{BUCKET}/sentiment/predictions/sentiment-p/",
        "Accept": "application/jsonlines",
        "AssembleWith": "Line",
    }
    assert request["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}


def test_gpu_gets_cuda_12_driver(run: Run, trained: str, to_predict: str) -> None:
    result = run("transform", trained, "--instance-type", "ml.g4dn.xlarge", "--dry-run")
    resources = shown(result, "CreateTransformJob")["TransformResources"]
    assert resources["TransformAmiVersion"] == "al2-ami-sagemaker-batch-gpu-535"


def test_payloads_stay_within_limit(run: Run, trained: str, to_predict: str) -> None:
    """SageMaker allows 100 MB for all concurrent requests."""
    assert to_predict
    result = run("transform", trained, "--concurrency", "100", "--dry-run")
    request = shown(result, "CreateTransformJob")
    assert request["MaxConcurrentTransforms"] * request["MaxPayloadInMB"] <= 100


def test_server_timeout_matches_sagemaker(run: Run, trained: str, to_predict: str) -> None:
    assert to_predict
    result = run("transform", trained, "--dry-run")
    seconds = shown(result, "CreateTransformJob")["ModelClientConfig"]["InvocationsTimeoutInSeconds"]
    environment = shown(result, "CreateModel")["PrimaryContainer"]["Environment"]
    assert environment["SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"] == str(seconds)


def test_transform_deletes_its_model(run: Run, trained: str, to_predict: str) -> None:
    assert to_predict
    result = run("transform", trained, *NAME)
    assert result.stdout == f"s3://{BUCKET}/sentiment/predictions/sentiment-p/\n"
    assert boto3.client("sagemaker", REGION).list_models()["Models"] == []


def test_no_wait_keeps_transform_model(run: Run, trained: str, to_predict: str) -> None:
    assert to_predict
    run("transform", trained, *NAME, "--no-wait")
    assert boto3.client("sagemaker", REGION).list_models()["Models"] != []
    run("delete", "sentiment-p", "--yes")
    assert boto3.client("sagemaker", REGION).list_models()["Models"] == []


def test_refused_transform_deletes_model(run: Run, to_predict: str, sagemaker: Stubber) -> None:
    assert to_predict
    sagemaker.add_response("describe_training_job", training_job("Completed"))
    sagemaker.add_response("create_model", {"ModelArn": "m" * 20})
    sagemaker.add_client_error("create_transform_job", "ResourceLimitExceeded", "0 instances are allowed")
    sagemaker.add_client_error("describe_transform_job", "ValidationException")
    sagemaker.add_response("delete_model", {}, {"ModelName": "sentiment-p"})
    assert "0 instances are allowed" in run("transform", "sentiment-1", *NAME, code=1).stderr


def test_missing_transform_input_is_an_error(run: Run, trained: str) -> None:
    result = run("transform", trained, code=1)
    assert f"no objects at s3://{BUCKET}/sentiment/to-predict/" in result.stderr


@pytest.fixture
def started(to_predict: str, sagemaker: Stubber) -> Stubber:
    """SageMaker, which has accepted a transform job."""
    assert to_predict
    sagemaker.add_response("describe_training_job", training_job("Completed"))
    sagemaker.add_response("create_model", {"ModelArn": "m" * 20})
    sagemaker.add_response("create_transform_job", {"TransformJobArn": "t" * 20})
    return sagemaker


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
def test_running_job_keeps_its_model(run: Run, started: Stubber, code: str) -> None:
    """A status call fails; the job is running, or its state is unknown."""
    started.add_client_error("describe_transform_job", code)
    if code == "ThrottlingException":
        started.add_response("describe_transform_job", transform_job("InProgress"))
    else:
        started.add_client_error("describe_transform_job", code)
    message = run("transform", "sentiment-1", *NAME, code=1).stderr
    assert "python -m jobs stop sentiment-p" in message


def test_failed_job_loses_its_model(run: Run, started: Stubber) -> None:
    for _ in range(2):
        started.add_response("describe_transform_job", transform_job("Failed"))
    started.add_response("delete_model", {}, {"ModelName": "sentiment-p"})
    run("transform", "sentiment-1", *NAME, code=1)


@pytest.mark.parametrize("status", ["Completed", "Failed"])
def test_kept_model_hides_no_outcome(run: Run, started: Stubber, status: str) -> None:
    for _ in range(1 if status == "Completed" else 2):
        started.add_response("describe_transform_job", transform_job(status))
    started.add_client_error("delete_model", "AccessDeniedException")
    result = run("transform", "sentiment-1", *NAME, code=int(status == "Failed"))
    assert "warning: the model is kept (An error occurred (AccessDenied" in result.stderr
    assert "python -m jobs delete sentiment-p" in result.stderr
    if status == "Completed":
        assert result.stdout == f"s3://{BUCKET}/sentiment/predictions/sentiment-p/\n"
    else:
        assert "Failed" in result.stderr.rpartition("warning")[2]


def test_concurrency_cannot_be_set_apart(run: Run, trained: str, to_predict: str) -> None:
    assert to_predict
    result = run("transform", trained, "--set", "MaxConcurrentTransforms=40", code=2)
    assert "--set MaxConcurrentTransforms: use --concurrency" in result.stderr


def test_container_takes_every_concurrent_request(run: Run, trained: str, to_predict: str) -> None:
    assert to_predict
    environment = shown(run("transform", trained, "--concurrency", "100", "--dry-run"), "CreateModel")[
        "PrimaryContainer"
    ]["Environment"]
    assert int(environment["SERVE_MAX_REQUESTS"]) > 100


def test_join_keeps_inputs(run: Run, trained: str, to_predict: str) -> None:
    assert to_predict
    request = shown(run("transform", trained, "--join", "--dry-run"), "CreateTransformJob")
    assert request["DataProcessing"] == {"JoinSource": "Input"}
