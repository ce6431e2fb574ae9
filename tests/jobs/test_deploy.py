"""Endpoints: requests, confirmation, and rollback after an error."""

import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from jobs import deploy
from jobs.account import Account
from jobs.aws_request import Request
from tests.jobs.conftest import (
    ACCOUNT,
    BUCKET,
    REGION,
    ROLE,
    Call,
    Run,
    best_job,
    save_artifact,
    shown,
    training_job,
    tuning_job,
)

REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-sentiment-lstm"
NAME = ["--name", "sentiment-e"]


@pytest.fixture
def dry_run(run: Run, trained: str) -> Any:
    return lambda *arguments: run("deploy", trained, *NAME, "--dry-run", *arguments)


def variant(result: Any) -> dict[str, Any]:
    (variant,) = shown(result, "CreateEndpointConfig")["ProductionVariants"]
    return dict(variant)


def test_training_image_serves_the_model(dry_run: Any) -> None:
    request = shown(dry_run(), "CreateModel")
    artifact = f"s3://{BUCKET}/sentiment/models/sentiment-1/output/model.tar.gz"
    container = request["PrimaryContainer"]
    assert re.fullmatch(rf"{REPOSITORY}@sha256:[0-9a-f]{{64}}", container.pop("Image"))
    assert container == {"ModelDataUrl": artifact, "Environment": {}}
    assert request["ExecutionRoleArn"] == ROLE
    assert request["EnableNetworkIsolation"] is True


def test_real_time_variant(dry_run: Any) -> None:
    assert variant(dry_run()) == {
        "VariantName": "all",
        "ModelName": "sentiment-e",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }


def test_gpu_gets_cuda_12_driver(dry_run: Any) -> None:
    gpu = variant(dry_run("--instance-type", "ml.g4dn.xlarge"))
    assert gpu["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-gpu-3-1"


def test_inference_ami_option_selects_driver(dry_run: Any) -> None:
    result = dry_run(
        "--instance-type", "ml.g4dn.xlarge", "--inference-ami", "al2-ami-sagemaker-inference-gpu-2"
    )
    assert variant(result)["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-gpu-2"


def test_serverless_variant_and_environment(dry_run: Any) -> None:
    result = dry_run("--mode", "serverless", "--memory-mb", "3072")
    assert variant(result) == {
        "VariantName": "all",
        "ModelName": "sentiment-e",
        "ServerlessConfig": {"MemorySizeInMB": 3072, "MaxConcurrency": 5},
    }
    model = shown(result, "CreateModel")
    assert model["PrimaryContainer"]["Environment"] == {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    assert model["EnableNetworkIsolation"] is False  # not supported by serverless endpoints


def test_asynchronous_output_and_environment(dry_run: Any) -> None:
    result = dry_run("--mode", "asynchronous", "--kms-key", "results")
    output = shown(result, "CreateEndpointConfig")["AsyncInferenceConfig"]["OutputConfig"]
    assert output == {
        "S3OutputPath": f"s3://{BUCKET}/sentiment/endpoints/sentiment-e/answers/",
        "KmsKeyId": "results",
    }
    environment = shown(result, "CreateModel")["PrimaryContainer"]["Environment"]
    assert environment["SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"] == "900"


@pytest.mark.parametrize(
    ("instance_type", "requests"), [("ml.m5.large", 2), ("ml.c5.xlarge", 4), ("ml.m5.12xlarge", 48)]
)
def test_asynchronous_requests_fit_container(dry_run: Any, instance_type: str, requests: int) -> None:
    """One for each CPU core; the container accepts one more than SageMaker sends."""
    result = dry_run("--mode", "asynchronous", "--instance-type", instance_type)
    client = shown(result, "CreateEndpointConfig")["AsyncInferenceConfig"]["ClientConfig"]
    environment = shown(result, "CreateModel")["PrimaryContainer"]["Environment"]
    assert client == {"MaxConcurrentInvocationsPerInstance": requests}
    assert environment["SERVE_MAX_REQUESTS"] == str(requests + 1)


def test_asynchronous_text_limit_fits_payload(dry_run: Any) -> None:
    container = shown(dry_run("--mode", "asynchronous"), "CreateModel")["PrimaryContainer"]
    environment = container["Environment"]
    bytes_of_text = (
        int(environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"]) * 10**6 / int(environment["SERVE_MAX_TEXTS"])
    )
    assert bytes_of_text <= 100


@pytest.mark.parametrize("option", ["--metrics", "--no-metrics"])
def test_metrics_option(dry_run: Any, option: str) -> None:
    assert "MetricsConfig" not in shown(dry_run(), "CreateEndpointConfig")
    metrics = shown(dry_run(option), "CreateEndpointConfig")["MetricsConfig"]
    assert metrics == {"EnableDetailedObservability": option == "--metrics"}


def test_cuda_13_driver_prints_warning(dry_run: Any) -> None:
    version = "al2023-ami-sagemaker-inference-gpu-4-1"
    result = dry_run("--instance-type", "ml.g6.xlarge", "--inference-ami", version)
    assert f"warning: {version} is for CUDA 13" in result.stderr


def test_data_capture_request(dry_run: Any) -> None:
    capture = shown(dry_run("--data-capture", "20"), "CreateEndpointConfig")["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 20
    assert capture["DestinationS3Uri"] == f"s3://{BUCKET}/sentiment/endpoints/sentiment-e/captured/"


def test_deploy_vpc_and_volume_key(dry_run: Any) -> None:
    result = dry_run("--subnet", "a", "--security-group", "b", "--volume-kms-key", "disks")
    assert shown(result, "CreateModel")["VpcConfig"] == {"Subnets": ["a"], "SecurityGroupIds": ["b"]}
    assert shown(result, "CreateEndpointConfig")["KmsKeyId"] == "disks"


def test_dry_run_only_reads(dry_run: Any, calls: list[Call]) -> None:
    calls.clear()
    dry_run("--register", "sentiment", "--max-instances", "2")
    assert calls == [
        Call("sagemaker", "DescribeTrainingJob"),
        Call("s3", "GetObject"),
        Call("sagemaker", "DescribeModelPackageGroup"),
        Call("sts", "GetCallerIdentity"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "serverless", "--subnet", "a", "--security-group", "b"], "do not support --subnet"),
        (["--mode", "serverless", "--data-capture", "1"], "do not support --data-capture"),
        (["--mode", "serverless", "--max-instances", "2"], "do not support --max-instances"),
        (["--min-instances", "0", "--max-instances", "2"], "--min-instances 0 needs --mode asynchronous"),
        (["--instance-count", "3", "--max-instances", "2"], "--max-instances is less than"),
        (["--max-instances", "2", "--no-wait"], "--max-instances needs --wait"),
    ],
)
def test_contradicting_options_are_refused(run: Run, arguments: list[str], message: str) -> None:
    assert message in run("deploy", "sentiment-1", *arguments, code=2).stderr


def test_deploy_prints_cost_before_asking(run: Run, trained: str) -> None:
    result = run("deploy", trained, *NAME, "--instance-count", "2", answers="n\n", code=1)
    cost, question = result.stderr.splitlines()[:2]
    assert cost == "sentiment-e: 2 x ml.m5.large; billed from now until it is deleted"
    assert question.startswith("Deploy [y/N]")
    assert boto3.client("sagemaker", REGION).list_endpoints()["Endpoints"] == []


def test_deploy_creates_endpoint_after_yes(run: Run, trained: str) -> None:
    result = run("deploy", trained, *NAME, answers="y\n")
    assert result.stdout == "sentiment-e\n"
    assert "python -m jobs delete sentiment-e" in result.stderr


def test_existing_endpoint_is_not_touched(run: Run, trained: str, calls: list[Call]) -> None:
    run("deploy", trained, *NAME, "--yes")
    calls.clear()
    result = run("deploy", trained, *NAME, "--yes", code=1)
    assert "endpoint sentiment-e exists; use --update or another --name, or delete it" in result.stderr
    assert not [call for call in calls if call.operation.startswith("Create")]


def test_refused_endpoint_is_rolled_back(sagemaker: Stubber) -> None:
    variants = [{"VariantName": "all", "ModelName": "a"}]
    requests = [
        Request("sagemaker", "CreateModel", {"ModelName": "a"}),
        Request(
            "sagemaker", "CreateEndpointConfig", {"EndpointConfigName": "a", "ProductionVariants": variants}
        ),
        Request("sagemaker", "CreateEndpoint", {"EndpointName": "a", "EndpointConfigName": "a"}),
    ]
    sagemaker.add_response("create_model", {"ModelArn": "m" * 20})
    sagemaker.add_response("create_endpoint_config", {"EndpointConfigArn": "c" * 20})
    sagemaker.add_client_error("create_endpoint", "ResourceLimitExceeded", "0 instances are allowed")
    sagemaker.add_response("delete_endpoint_config", {}, {"EndpointConfigName": "a"})
    sagemaker.add_response("delete_model", {}, {"ModelName": "a"})
    with pytest.raises(ClientError, match="0 instances are allowed"):
        deploy.create(Account("sentiment", REGION), requests)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (training_job("InProgress"), "training job sentiment-1 has no model; its status is InProgress"),
        (training_job("Failed"), "training job sentiment-1 has no model; its status is Failed"),
    ],
)
def test_job_without_model_is_refused(run: Run, sagemaker: Stubber, job: Any, message: str) -> None:
    sagemaker.add_response("describe_training_job", job)
    sagemaker.add_client_error("describe_training_job", "ValidationException")  # sentiment-1-2
    assert message in run("deploy", "sentiment-1", "--yes", code=1).stderr


@pytest.mark.parametrize("names", [["./"], ["./notes.txt"]])
def test_artifact_without_model_is_refused(run: Run, trained: str, names: list[str]) -> None:
    """A job that was stopped before its first epoch ended."""
    save_artifact(BUCKET, "sentiment/models/sentiment-1/output/model.tar.gz", *names)
    message = run("deploy", trained, "--yes", code=1).stderr
    artifact = f"s3://{BUCKET}/sentiment/models/sentiment-1/output/model.tar.gz"
    assert f"training job sentiment-1 saved no model: {artifact}" in message


def test_missing_artifact_is_refused(run: Run, trained: str) -> None:
    key = "sentiment/models/sentiment-1/output/model.tar.gz"
    boto3.client("s3", REGION).delete_object(Bucket=BUCKET, Key=key)
    assert "saved no model" in run("deploy", trained, "--yes", code=1).stderr


def test_replacement_is_deployed(run: Run, sagemaker: Stubber) -> None:
    """The job ended without capacity; its replacement has the tag, the next job of this name has not."""
    second = training_job("Completed", TrainingJobName="sentiment-1-2")
    sagemaker.add_response("describe_training_job", training_job("Failed"))
    sagemaker.add_response("describe_training_job", second, {"TrainingJobName": "sentiment-1-2"})
    sagemaker.add_response("list_tags", {"Tags": [{"Key": "replaces", "Value": "sentiment-1"}]})
    result = run("deploy", "sentiment-1", "--dry-run")
    assert shown(result, "CreateModel")["PrimaryContainer"]["ModelDataUrl"] == "s3://mine/model.tar.gz"


def test_untagged_namesake_is_not_deployed(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response("describe_training_job", training_job("Failed"))
    sagemaker.add_response("describe_training_job", training_job("Completed"))
    sagemaker.add_response("list_tags", {"Tags": []})
    assert "has no model; its status is Failed" in run("deploy", "sentiment-1", "--dry-run", code=1).stderr


def test_unknown_job_is_an_error(run: Run) -> None:
    assert "no training job nothing" in run("deploy", "nothing", "--yes", code=1).stderr


def test_deploy_takes_best_tuning_job(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("describe_training_job", "ValidationException")
    sagemaker.add_response("describe_hyper_parameter_tuning_job", tuning_job("Completed", **best_job()))
    job = training_job("Completed")
    sagemaker.add_response("describe_training_job", job, {"TrainingJobName": "sentiment-t-003"})
    result = run("deploy", "t", "--dry-run")
    assert shown(result, "CreateModel")["PrimaryContainer"]["ModelDataUrl"] == "s3://mine/model.tar.gz"
