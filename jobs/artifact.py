"""The model artifact of a finished training job, and the SageMaker model that serves it."""

from typing import Any, NamedTuple

import click

from jobs.account import Account
from jobs.aws_request import Request
from jobs.resources import TRAINING, TUNING
from jobs.security import SecurityOptions


class Artifact(NamedTuple):
    """The artifact of a training job; ``metrics`` are the final values."""

    job: str
    image: str
    uri: str
    role: str
    metrics: dict[str, float]

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> "Artifact":
        """The artifact of a training job, from SageMaker's description of the job."""
        return cls(
            description["TrainingJobName"],
            description["AlgorithmSpecification"]["TrainingImage"],
            description["ModelArtifacts"]["S3ModelArtifacts"],
            description["RoleArn"],
            {metric["MetricName"]: metric["Value"] for metric in description.get("FinalMetricDataList", [])},
        )


def find(account: Account, job: str) -> Artifact:
    """The artifact of a training job, or of the best training job of a tuning job.

    Raises:
        click.ClickException: the job does not exist or has no artifact.
    """
    resource = TRAINING.find(account, job)
    if resource is None and (tuning := TUNING.find(account, job)):
        best = tuning.description.get("BestTrainingJob", {}).get("TrainingJobName")
        resource = TRAINING.find(account, best) if best else None
    if resource is None:
        raise click.ClickException(f"no training job {job}, and no tuning job {job} with a finished job")
    if resource.status not in ("Completed", "Stopped") or "ModelArtifacts" not in resource.description:
        raise click.ClickException(f"training job {job} has no model; its status is {resource.status}")
    return Artifact.from_description(resource.description)


def create_model(
    name: str,
    artifact: Artifact,
    environment: dict[str, str],
    security: SecurityOptions,
    tags: list[dict[str, str]],
) -> Request:
    """The request that creates a SageMaker model, served by the image that trained it."""
    container = {"Image": artifact.image, "ModelDataUrl": artifact.uri, "Environment": environment}
    parameters = {
        "ModelName": name,
        "ExecutionRoleArn": artifact.role,
        "PrimaryContainer": container,
        "EnableNetworkIsolation": security.network_isolation,
        **security.vpc,
        "Tags": tags,
    }
    return Request("sagemaker", "CreateModel", parameters)
