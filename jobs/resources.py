"""The kinds of what runs on SageMaker and is paid for: three of jobs, and endpoints."""

from typing import Any, NamedTuple

import click
from botocore import xform_name
from botocore.exceptions import ClientError

from jobs.account import Account
from jobs.aws_request import Request

BUSY = {
    "InProgress", "Stopping", "Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting",
}  # fmt: skip
# What SageMaker answers about a name that it does not know depends on the operation.
NOT_FOUND = {"ResourceNotFound", "ResourceNotFoundException", "ValidationException"}


class ResourceType(NamedTuple):
    """One kind; SageMaker names its operations and parameters regularly after ``shape``.

    Attributes:
        title: what people call it.
        shape: what SageMaker calls it.
        log_group: of CloudWatch; an endpoint has one of its own, with its name behind.
        log_streams: what the names of its streams begin with.
    """

    title: str
    shape: str
    log_group: str
    log_streams: str

    @property
    def stops(self) -> bool:
        """Whether it can be stopped; an endpoint can only be deleted."""
        return self is not ENDPOINT

    @property
    def end(self) -> str:
        """The command that ends one."""
        return "stop" if self.stops else "delete"

    def cost_warning(self, name: str) -> str:
        """What to keep in mind about one that is left alone."""
        return f"{self.title} {name} goes on, and is paid for; to end it: python -m jobs {self.end} {name}"

    def stop(self, name: str) -> Request:
        """What stops one."""
        return Request("sagemaker", f"Stop{self.shape}", {f"{self.shape}Name": name})

    def status(self, description: dict[str, Any]) -> str:
        """The status in what ``describe`` returned."""
        return str(description[f"{self.shape}Status"])

    def describe(self, account: Account, name: str) -> dict[str, Any] | None:
        """All that SageMaker tells of one; None when there is none of that name.

        Raises:
            botocore.exceptions.ClientError: AWS refuses to tell.
        """
        call = getattr(account.client("sagemaker"), f"describe_{xform_name(self.shape)}")
        try:
            description: dict[str, Any] = call(**{f"{self.shape}Name": name})
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_FOUND:
                raise
            return None
        return description


_JOBS = "/aws/sagemaker/TrainingJobs"
TRAINING = ResourceType("training job", "TrainingJob", _JOBS, "{name}/")
# Its training jobs are called after it.
TUNING = ResourceType("tuning job", "HyperParameterTuningJob", _JOBS, "{name}-")
TRANSFORM = ResourceType("transform job", "TransformJob", "/aws/sagemaker/TransformJobs", "{name}/")
ENDPOINT = ResourceType("endpoint", "Endpoint", "/aws/sagemaker/Endpoints/{name}", "")
RESOURCE_TYPES = (TRAINING, TUNING, TRANSFORM, ENDPOINT)


class Resource(NamedTuple):
    """One that exists."""

    type: ResourceType
    description: dict[str, Any]

    @property
    def status(self) -> str:
        """How it is."""
        return self.type.status(self.description)


def find(account: Account, name: str) -> list[Resource]:
    """What has the name; jobs of different kinds may share one.

    Raises:
        click.ClickException: nothing has.
    """
    descriptions = [(kind, kind.describe(account, name)) for kind in RESOURCE_TYPES]
    found = [Resource(kind, description) for kind, description in descriptions if description]
    if not found:
        raise click.ClickException(
            f"there is no job or endpoint {name} in {account.region}; python -m jobs status lists them"
        )
    return found
