"""Training jobs: request, output and errors."""

import re
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from jobs.options import PROJECT_TAG
from tests.jobs.conftest import ACCOUNT, BUCKET, REGION, ROLE, Call, Run, shown, training_job

pytestmark = pytest.mark.usefixtures("uploaded")
TYPES = ["ml.p3.2xlarge", "ml.g5.xlarge", "ml.g4dn.xlarge", "ml.c5.2xlarge"]
DEFAULTS = {
    "TrainingJobName": "sentiment-1",
    "HyperParameters": {},
    "RoleArn": ROLE,
    "InputDataConfig": [
        {
            "ChannelName": "training",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{BUCKET}/sentiment/training/",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ],
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/sentiment/models/"},
    "ResourceConfig": {
        "InstancePreferences": [{"InstanceType": name} for name in TYPES],
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "EnableNetworkIsolation": True,
    "EnableManagedSpotTraining": False,
    "Tags": [PROJECT_TAG],
}


def dry_run(run: Run, *arguments: str) -> dict[str, Any]:
    return shown(run("train", "--dry-run", "--name", "sentiment-1", *arguments), "CreateTrainingJob")


def test_train_request_defaults(run: Run) -> None:
    request = dry_run(run)
    algorithm = request.pop("AlgorithmSpecification")
    assert request == DEFAULTS
    repository = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-sentiment-lstm"
    assert re.fullmatch(rf"{repository}@sha256:[0-9a-f]{{64}}", algorithm["TrainingImage"])
    assert "validation_accuracy" in [metric["Name"] for metric in algorithm["MetricDefinitions"]]


def test_train_sends_hyperparameters(run: Run) -> None:
    values = dry_run(run, "epochs=3", "learning-rate=0.01")["HyperParameters"]
    assert values == {"epochs": "3", "learning_rate": "0.01"}


def test_spot_sets_checkpoints_and_wait(run: Run) -> None:
    request = dry_run(run, "--spot", "--max-minutes", "30")
    assert request["EnableManagedSpotTraining"] is True
    assert request["CheckpointConfig"] == {"S3Uri": f"s3://{BUCKET}/sentiment/checkpoints/sentiment-1/"}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 7200}


def test_checkpoints_option_without_spot(run: Run) -> None:
    request = dry_run(run, "--checkpoints", "s3://mine/checkpoints")
    assert request["CheckpointConfig"] == {"S3Uri": "s3://mine/checkpoints"}


def test_sharded_splits_training_channel(run: Run) -> None:
    request = dry_run(run, "--instance-count", "2", "--instance-type", "ml.g5.xlarge", "--sharded")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "ShardedByS3Key"
    assert request["ResourceConfig"]["InstanceCount"] == 2


def test_only_training_channel_is_sharded(run: Run) -> None:
    uri = f"s3://{BUCKET}/sentiment/training"
    names = ("validation", "test", "unlabeled", "pretrained")
    request = dry_run(run, *(argument for name in names for argument in (f"--{name}", uri)), "--sharded")
    distributions = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3DataDistributionType"]
        for channel in request["InputDataConfig"]
    }
    assert distributions == {
        "training": "ShardedByS3Key", "validation": "FullyReplicated", "test": "FullyReplicated",
        "unlabeled": "FullyReplicated", "pretrained": "FullyReplicated",
    }  # fmt: skip


def test_pretrain_uses_only_unlabeled_channel(run: Run) -> None:
    uri = f"s3://{BUCKET}/sentiment/training"
    (channel,) = dry_run(run, "--pretrain", "--unlabeled", uri)["InputDataConfig"]
    assert channel["ChannelName"] == "unlabeled"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"{uri}/"


def test_pretrain_defaults_to_uploaded_data(run: Run) -> None:
    boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key="sentiment/unlabeled/a.csv", Body=b"text\na\n")
    (channel,) = dry_run(run, "--pretrain")["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/sentiment/unlabeled/"


def test_pretrain_prints_next_command(run: Run) -> None:
    result = run(
        "train", "--pretrain", "--unlabeled", f"s3://{BUCKET}/sentiment/training", "--name", "sentiment-1"
    )
    folder = f"s3://{BUCKET}/sentiment/models/sentiment-1/output/"
    assert f"next: python -m jobs train --pretrained {folder}\n" in result.stderr


def test_train_vpc_and_keys(run: Run) -> None:
    request = dry_run(
        run, "--subnet", "a", "--subnet", "b", "--security-group", "c",
        "--kms-key", "results", "--volume-kms-key", "disks", "--no-network-isolation",
    )  # fmt: skip
    assert request["VpcConfig"] == {"Subnets": ["a", "b"], "SecurityGroupIds": ["c"]}
    assert request["OutputDataConfig"]["KmsKeyId"] == "results"
    assert request["ResourceConfig"]["VolumeKmsKeyId"] == "disks"
    assert request["EnableNetworkIsolation"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subnet", "a"], "a VPC needs both --subnet and --security-group"),
        (["--spot", "--max-wait-minutes", "5"], "--max-wait-minutes includes the run"),
        (["--register", "g", "--no-wait"], "--register needs --wait"),
        (["--pretrain", "--register", "g"], "--pretrain trains no model"),
        (["--pretrain", "--training", "s3://mine/a"], "accepts no channel except --unlabeled"),
    ],
)
def test_contradicting_options_are_refused(run: Run, arguments: list[str], message: str) -> None:
    assert message in run("train", *arguments, code=2).stderr


def test_missing_data_is_an_error(run: Run) -> None:
    result = run("train", "--training", f"s3://{BUCKET}/sentiment/reviews", code=1)
    assert "no objects at s3://" in result.stderr
    assert "no objects at s3://none/a" in run("train", "--training", "s3://none/a", code=1).stderr


def test_dry_run_only_reads(run: Run, calls: list[Call]) -> None:
    calls.clear()
    dry_run(run)
    assert {operation for _, operation in calls} == {
        "GetCallerIdentity", "ListObjectsV2", "DescribeRepositories", "DescribeImages", "ListRoles",
        "ListServiceQuotas",
    }  # fmt: skip


def test_train_prints_artifact_uri(run: Run) -> None:
    result = run("train", "--name", "sentiment-1")
    assert result.stdout == f"s3://{BUCKET}/sentiment/models/sentiment-1/output/model.tar.gz\n"
    types = " or ".join(TYPES)
    assert f"sentiment-1: 1 x {types}, for at most 60 minutes" in result.stderr


def test_no_wait_only_starts_job(run: Run) -> None:
    result = run("train", "--name", "sentiment-1", "--no-wait")
    assert result.stdout == ""
    assert boto3.client("sagemaker", REGION).describe_training_job(TrainingJobName="sentiment-1")


def test_failure_reason_is_printed(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    failed = training_job(
        "Failed", FailureReason="AlgorithmError: channel training: all reviews are positive"
    )
    sagemaker.add_response("describe_training_job", failed)
    result = run("train", "--name", "sentiment-1", code=1)
    assert "sentiment-1: Failed: AlgorithmError: channel training: all reviews are positive" in result.stderr
