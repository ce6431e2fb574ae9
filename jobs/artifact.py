"""The artifact of a training job, and the SageMaker model and the model package made from it."""

from collections.abc import Mapping
from typing import Any

import click

from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT
from jobs.account import Account
from jobs.aws_request import Request, sagemaker
from jobs.resources import TRAINING, TUNING, ResourceType
from jobs.security import vpc

GROUP = ResourceType("model package group", "ModelPackageGroup")

# SageMaker's description of a training job.
Job = Mapping[str, Any]


def find(account: Account, name: str) -> Job:
    """A training job with an artifact, or the best training job of a tuning job.

    Raises:
        click.ClickException: the job does not exist or has no artifact.
    """
    job = TRAINING.find(account, name)
    if job is None and (tuning := TUNING.find(account, name)):
        best = tuning.description.get("BestTrainingJob", {}).get("TrainingJobName")
        job = TRAINING.find(account, best) if best else None
    if job is None:
        raise click.ClickException(f"no training job {name}, and no tuning job {name} with a finished job")
    if job.status not in ("Completed", "Stopped") or "ModelArtifacts" not in job.description:
        raise click.ClickException(f"training job {name} has no model; its status is {job.status}")
    return job.description


def uri(job: Job) -> str:
    """The S3 URI of a job's ``model.tar.gz``."""
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def _container(job: Job) -> dict[str, str]:
    """The model, served by the image that trained it."""
    return {"Image": job["AlgorithmSpecification"]["TrainingImage"], "ModelDataUrl": uri(job)}


def create_model(name: str, job: Job, environment: dict[str, str], values: Mapping[str, Any]) -> Request:
    """The request that creates a SageMaker model, from the values of the options."""
    return sagemaker(
        "CreateModel",
        ModelName=name,
        ExecutionRoleArn=job["RoleArn"],
        PrimaryContainer=_container(job) | {"Environment": environment},
        EnableNetworkIsolation=values["network_isolation"],
        VpcConfig=vpc(values),
        Tags=values["tags"],
    )


def register(account: Account, job: Job, group: str, tags: list[dict[str, str]]) -> list[Request]:
    """Requests that register a model for manual approval, in a new group if there is none."""
    metrics = {
        metric["MetricName"]: f"{metric['Value']:.6g}" for metric in job.get("FinalMetricDataList", [])
    }
    package = sagemaker(
        "CreateModelPackage",
        ModelPackageGroupName=group,
        ModelPackageDescription=f"trained by {job['TrainingJobName']}",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [_container(job)],
            "SupportedContentTypes": [JSON, JSON_LINES, CSV, TEXT],
            "SupportedResponseMIMETypes": [JSON, JSON_LINES, CSV],
        },
        CustomerMetadataProperties={"training_job": job["TrainingJobName"]} | metrics,
    )
    if GROUP.find(account, group):
        return [package]
    return [sagemaker("CreateModelPackageGroup", ModelPackageGroupName=group, Tags=tags), package]
