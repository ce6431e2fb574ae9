"""A trained model: found by the job that trained it, and made known to SageMaker as what can be served."""

from typing import Any, NamedTuple

import click

from jobs.account import Account
from jobs.aws_request import Request
from jobs.resources import TRAINING, TUNING
from jobs.security import SecurityOptions


class Artifact(NamedTuple):
    """What a training job has left; ``figures`` are the last values of its metrics."""

    job: str
    image: str
    uri: str
    role: str
    figures: dict[str, float]


def find(account: Account, job: str) -> Artifact:
    """The model of a training job, or that of the best one of a tuning job.

    Raises:
        click.ClickException: there is no such job, or it has no model.
    """
    description = TRAINING.describe(account, job)
    if description is None:
        tuning = TUNING.describe(account, job) or {}
        best = tuning.get("BestTrainingJob", {}).get("TrainingJobName")
        description = TRAINING.describe(account, best) if best else None
    if description is None:
        raise click.ClickException(
            f"there is no training job {job}, nor a tuning job of that name with a result"
        )
    status = description["TrainingJobStatus"]
    if status not in ("Completed", "Stopped") or "ModelArtifacts" not in description:
        raise click.ClickException(f"training job {job} has no model: it is {status}")
    return of(description)


def of(description: dict[str, Any]) -> Artifact:
    """The model of a training job that SageMaker has described."""
    return Artifact(
        description["TrainingJobName"],
        description["AlgorithmSpecification"]["TrainingImage"],
        description["ModelArtifacts"]["S3ModelArtifacts"],
        description["RoleArn"],
        {metric["MetricName"]: metric["Value"] for metric in description.get("FinalMetricDataList", [])},
    )


def request(
    name: str,
    trained: Artifact,
    environment: dict[str, str],
    security: SecurityOptions,
    tags: list[dict[str, str]],
) -> Request:
    """What makes a model known; the image that trained it serves it, with variables in its environment."""
    parameters = {
        "ModelName": name,
        "ExecutionRoleArn": trained.role,
        "PrimaryContainer": {
            "Image": trained.image,
            "ModelDataUrl": trained.uri,
            "Environment": environment,
        },
        "EnableNetworkIsolation": security.network_isolation,
        **security.vpc,
        "Tags": tags,
    }
    return Request("sagemaker", "CreateModel", parameters)
