"""The artifact of a training job, and the SageMaker model and the model package made from it."""

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.artifact import MANIFEST
from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT
from jobs import fallback, image, options, storage
from jobs.account import Account
from jobs.aws_request import Request, sagemaker
from jobs.resources import TRAINING, TUNING, Resource, ResourceType
from jobs.security import vpc

GROUP = ResourceType("model package group", "ModelPackageGroup")
MAX_ARCHIVE_BYTES = 50_000_000

# SageMaker's description of a training job.
Job = Mapping[str, Any]


def find(account: Account, name: str) -> Job:
    """A training job with a model, the job that replaced it, or the best training job of a tuning job.

    Raises:
        click.ClickException: the job does not exist or has no model.
    """
    job = _last_attempt(account, name)
    if job is None and (tuning := TUNING.find(account, name)):
        best = tuning.description.get("BestTrainingJob", {}).get("TrainingJobName")
        job = TRAINING.find(account, best) if best else None
    if job is None:
        raise click.ClickException(f"no training job {name}, and no tuning job {name} with a finished job")
    if job.status not in ("Completed", "Stopped") or "ModelArtifacts" not in job.description:
        raise click.ClickException(f"training job {job.name} has no model; its status is {job.status}")
    if not _has_model(account, uri(job.description)):
        raise click.ClickException(f"training job {job.name} saved no model: {uri(job.description)}")
    return job.description


def _last_attempt(account: Account, name: str) -> Resource | None:
    """A training job, or the last job that replaced it for lack of capacity."""
    job = TRAINING.find(account, name)
    for attempt in range(2, options.MAX_TYPES + 1):
        if job is None or job.status == "Completed":
            break
        following = TRAINING.find(account, fallback.job_name(name, attempt))
        if following is None or {"Key": fallback.REPLACES, "Value": name} not in _tags(account, following):
            break
        job = following
    return job


def _tags(account: Account, job: Resource) -> list[dict[str, str]]:
    arn = job.description["TrainingJobArn"]
    return list(account.client("sagemaker").list_tags(ResourceArn=arn)["Tags"])


def _has_model(account: Account, uri: str) -> bool:
    """Whether an archive holds a model; assumed of a large one, which would take long to read."""
    bucket, key = storage.split(uri)
    try:
        archive = account.client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket")
    if archive["ContentLength"] > MAX_ARCHIVE_BYTES:
        return True
    try:
        with tarfile.open(fileobj=archive["Body"], mode="r|gz") as files:
            return any(Path(file.name).name == MANIFEST for file in files)
    except tarfile.TarError:
        return False


def uri(job: Job) -> str:
    """The S3 URI of a job's ``model.tar.gz``."""
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def _container(account: Account, job: Job) -> dict[str, str]:
    """The model, served by the image that trained it."""
    training_image = job["AlgorithmSpecification"]["TrainingImage"]
    return {"Image": image.pin(account, training_image), "ModelDataUrl": uri(job)}


def create_model(
    account: Account, name: str, job: Job, environment: dict[str, str], values: Mapping[str, Any]
) -> Request:
    """The request that creates a SageMaker model, from the values of the options."""
    return sagemaker(
        "CreateModel",
        ModelName=name,
        ExecutionRoleArn=job["RoleArn"],
        PrimaryContainer=_container(account, job) | {"Environment": environment},
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
            "Containers": [_container(account, job)],
            "SupportedContentTypes": [JSON, JSON_LINES, CSV, TEXT],
            "SupportedResponseMIMETypes": [JSON, JSON_LINES, CSV],
        },
        CustomerMetadataProperties={"training_job": job["TrainingJobName"]} | metrics,
    )
    if GROUP.find(account, group):
        return [package]
    return [sagemaker("CreateModelPackageGroup", ModelPackageGroupName=group, Tags=tags), package]
