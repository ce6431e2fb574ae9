"""Registering the model of a job."""

from typing import Any

import boto3

from tests.jobs.conftest import REGION, Run


def packages() -> list[Any]:
    client = boto3.client("sagemaker", REGION)
    return list(client.list_model_packages(ModelPackageGroupName="sentiment")["ModelPackageSummaryList"])


def test_train_registers_model_for_approval(run: Run, uploaded: None) -> None:
    run("train", "--name", "sentiment-1", "--register", "sentiment")
    (package,) = packages()
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    described = boto3.client("sagemaker", REGION).describe_model_package(
        ModelPackageName=package["ModelPackageArn"]
    )
    assert described["CustomerMetadataProperties"]["training_job"] == "sentiment-1"


def test_second_version_joins_the_group(run: Run, trained: str) -> None:
    for name in ("sentiment-e", "sentiment-f"):
        run("deploy", trained, "--name", name, "--yes", "--register", "sentiment")
    assert sorted(package["ModelPackageVersion"] for package in packages()) == [1, 2]
