"""Training jobs: the request, and how the command ends."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from jobs.options import PROJECT_TAG
from tests.jobs.conftest import ACCOUNT, BUCKET, REGION, ROLE, Call, Run, shown, training_job

pytestmark = pytest.mark.usefixtures("uploaded")
DEFAULTS = {
    "TrainingJobName": "sentiment-1",
    "HyperParameters": {"epochs": "2", "hidden_dim": "128"},
    "RoleArn": ROLE,
    "InputDataConfig": [
        {
            "ChannelName": "training",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{BUCKET}/sentiment/training",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ],
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/sentiment/models"},
    "ResourceConfig": {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "EnableNetworkIsolation": True,
    "EnableManagedSpotTraining": False,
    "Tags": [PROJECT_TAG],
}


def dry_run(run: Run, *arguments: str) -> dict[str, Any]:
    return shown(run("train", "--dry-run", "--name", "sentiment-1", *arguments), "CreateTrainingJob")


def test_defaults(run: Run) -> None:
    request = dry_run(run)
    algorithm = request.pop("AlgorithmSpecification")
    assert request == DEFAULTS
    assert algorithm["TrainingImage"] == (
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-sentiment-lstm:latest"
    )
    assert "validation_accuracy" in [metric["Name"] for metric in algorithm["MetricDefinitions"]]


def test_hyperparameters(run: Run) -> None:
    values = dry_run(run, "epochs=3", "learning-rate=0.01")["HyperParameters"]
    assert values == {"epochs": "3", "hidden_dim": "128", "learning_rate": "0.01"}


def test_spot_has_checkpoints_and_a_longest_wait(run: Run) -> None:
    request = dry_run(run, "--spot", "--max-minutes", "30")
    assert request["EnableManagedSpotTraining"] is True
    assert request["CheckpointConfig"] == {"S3Uri": f"s3://{BUCKET}/sentiment/checkpoints/sentiment-1"}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 7200}


def test_checkpoints_of_an_earlier_job_without_spot(run: Run) -> None:
    request = dry_run(run, "--checkpoints", "s3://mine/checkpoints")
    assert request["CheckpointConfig"] == {"S3Uri": "s3://mine/checkpoints"}


def test_several_instances_each_with_its_share(run: Run) -> None:
    request = dry_run(run, "--instance-count", "2", "--instance-type", "ml.g5.xlarge", "--sharded")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "ShardedByS3Key"
    assert request["ResourceConfig"]["InstanceCount"] == 2


def test_more_channels(run: Run) -> None:
    uri = f"s3://{BUCKET}/sentiment/training"
    others = ("validation", "test", "unlabeled", "pretrained")
    request = dry_run(run, *(part for name in others for part in (f"--{name}", uri)), "--sharded")
    kinds = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3DataDistributionType"]
        for channel in request["InputDataConfig"]
    }
    assert kinds == {
        "training": "ShardedByS3Key", "validation": "FullyReplicated", "test": "FullyReplicated",
        "unlabeled": "FullyReplicated", "pretrained": "FullyReplicated",
    }  # fmt: skip


def test_word_vectors_are_made_of_reviews_without_labels_alone(run: Run) -> None:
    uri = f"s3://{BUCKET}/sentiment/training"
    (channel,) = dry_run(run, "--pretrain", "--unlabeled", uri)["InputDataConfig"]
    assert channel["ChannelName"] == "unlabeled"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == uri


def test_word_vectors_are_of_what_was_uploaded(run: Run) -> None:
    boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key="sentiment/unlabeled/a.csv", Body=b"text\na\n")
    (channel,) = dry_run(run, "--pretrain")["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/sentiment/unlabeled"


def test_job_that_makes_word_vectors_says_how_to_begin_with_them(run: Run) -> None:
    result = run(
        "train", "--pretrain", "--unlabeled", f"s3://{BUCKET}/sentiment/training", "--name", "sentiment-1"
    )
    folder = f"s3://{BUCKET}/sentiment/models/sentiment-1/output"
    assert f"next: python -m jobs train --pretrained {folder}\n" in result.stderr


def test_vpc_and_keys(run: Run) -> None:
    request = dry_run(
        run, "--subnet", "a", "--subnet", "b", "--security-group", "c",
        "--kms-key", "results", "--volume-kms-key", "disks", "--no-network-isolation",
    )  # fmt: skip
    assert request["VpcConfig"] == {"Subnets": ["a", "b"], "SecurityGroupIds": ["c"]}
    assert request["OutputDataConfig"]["KmsKeyId"] == "results"
    assert request["ResourceConfig"]["VolumeKmsKeyId"] == "disks"
    assert request["EnableNetworkIsolation"] is False


def test_tags(run: Run) -> None:
    assert dry_run(run, "--tag", "team=film=1")["Tags"][1:] == [{"Key": "team", "Value": "film=1"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subnet", "a"], "a VPC needs both --subnet and --security-group"),
        (["--spot", "--max-wait-minutes", "5"], "--max-wait-minutes includes the run"),
        (["--tag", "team"], "team is not KEY=VALUE"),
        (["--name", "a_b"], "expected up to 63 letters, digits and single -"),
        (["--training", "mine/reviews"], "mine/reviews is not s3://BUCKET/FOLDER"),
        (["--instance-type", "p3.2xlarge"], "p3.2xlarge is not like ml.p3.2xlarge"),
        (["--instance-type", "ml.m6g.large"], "ml.m6g.large has an Arm processor"),
        (["--register", "g", "--no-wait"], "--register needs --wait"),
        (["--pretrain", "--register", "g"], "--pretrain makes no model"),
        (["--pretrain", "--training", "s3://mine/a"], "takes no other reviews than --unlabeled"),
    ],
)
def test_contradiction_is_told(run: Run, arguments: list[str], message: str) -> None:
    assert message in run("train", *arguments, code=2).stderr


def test_missing_reviews_are_told(run: Run) -> None:
    result = run("train", "--training", f"s3://{BUCKET}/sentiment/reviews", code=1)
    assert "there is nothing at s3://" in result.stderr
    assert "there is nothing at s3://none/a" in run("train", "--training", "s3://none/a", code=1).stderr


def test_dry_run_only_looks(run: Run, calls: list[Call]) -> None:
    dry_run(run)
    assert {operation for _, operation in calls} == {
        "GetCallerIdentity", "ListObjectsV2", "DescribeRepositories", "DescribeImages", "ListRoles",
    }  # fmt: skip


def test_artifact_is_printed(run: Run) -> None:
    result = run("train", "--name", "sentiment-1")
    assert result.stdout == f"s3://{BUCKET}/sentiment/models/sentiment-1/output/model.tar.gz\n"
    assert "sentiment-1: 1 x ml.p3.2xlarge, for at most 60 minutes" in result.stderr


def test_not_watched_it_only_starts(run: Run) -> None:
    result = run("train", "--name", "sentiment-1", "--no-wait")
    assert result.stdout == ""
    assert boto3.client("sagemaker", REGION).describe_training_job(TrainingJobName="sentiment-1")


def test_reason_of_a_failure_is_told(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    failed = training_job(
        "Failed", FailureReason="AlgorithmError: channel training: all reviews are positive"
    )
    sagemaker.add_response("describe_training_job", failed)
    result = run("train", "--name", "sentiment-1", code=1)
    assert "sentiment-1: Failed: AlgorithmError: channel training: all reviews are positive" in result.stderr
