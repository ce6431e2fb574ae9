"""SageMaker resources that incur charges: training, tuning and transform jobs, and endpoints."""

from typing import Any, NamedTuple

import click
from botocore import xform_name
from botocore.exceptions import ClientError

from jobs.account import Account
from jobs.aws_request import Request

BUSY = {
    "InProgress", "Stopping", "Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting",
}  # fmt: skip
# The error code for an unknown name depends on the operation.
NOT_FOUND = {"ResourceNotFound", "ResourceNotFoundException", "ValidationException"}


class ResourceType(NamedTuple):
    """A type of resource; SageMaker derives the names of its operations and parameters from ``shape``.

    Attributes:
        title: name in messages.
        shape: name in SageMaker's API.
        log_group: CloudWatch log group, with ``{name}`` for the resource's name.
        log_prefix: prefix of its log streams, with ``{name}`` likewise.
    """

    title: str
    shape: str
    log_group: str = ""
    log_prefix: str = ""

    @property
    def can_stop(self) -> bool:
        """False for endpoints, which can only be deleted."""
        return self is not ENDPOINT

    @property
    def end_command(self) -> str:
        """The command that ends the charges."""
        return "stop" if self.can_stop else "delete"

    def cost_warning(self, name: str) -> str:
        """A reminder of the running resource and of the command that ends it."""
        command = f"python -m jobs {self.end_command} {name}"
        return f"{self.title} {name} is still running and incurs charges; to end it: {command}"

    def stop_request(self, name: str) -> Request:
        """The request that stops a job."""
        return Request("sagemaker", f"Stop{self.shape}", {f"{self.shape}Name": name})

    def status(self, description: dict[str, Any]) -> str:
        """The status in a description or in an entry of a list."""
        return str(description[f"{self.shape}Status"])

    def find(self, account: Account, name: str) -> "Resource | None":
        """The resource of this name; None if it does not exist.

        Raises:
            botocore.exceptions.ClientError: AWS refuses the request.
        """
        call = getattr(account.client("sagemaker"), f"describe_{xform_name(self.shape)}")
        try:
            return Resource(self, name, call(**{f"{self.shape}Name": name}))
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_FOUND:
                raise
            return None


_JOBS = "/aws/sagemaker/TrainingJobs"
TRAINING = ResourceType("training job", "TrainingJob", _JOBS, "{name}/")
# The names of its training jobs begin with its own.
TUNING = ResourceType("tuning job", "HyperParameterTuningJob", _JOBS, "{name}-")
TRANSFORM = ResourceType("transform job", "TransformJob", "/aws/sagemaker/TransformJobs", "{name}/")
ENDPOINT = ResourceType("endpoint", "Endpoint", "/aws/sagemaker/Endpoints/{name}")
RESOURCE_TYPES = (TRAINING, TUNING, TRANSFORM, ENDPOINT)


class Resource(NamedTuple):
    """A resource and SageMaker's description of it."""

    type: ResourceType
    name: str
    description: dict[str, Any]

    @property
    def status(self) -> str:
        """The status, for example ``InProgress``."""
        return self.type.status(self.description)

    @property
    def is_busy(self) -> bool:
        """Whether the status will change without a request."""
        return self.status in BUSY

    @property
    def phase(self) -> str:
        """The current phase in SageMaker's words, finer than the status."""
        phase = str(self.description.get("SecondaryStatus", self.status))
        transitions = self.description.get("SecondaryStatusTransitions") or [{}]
        message = transitions[-1].get("StatusMessage")
        return f"{phase}: {message}" if message else phase

    @property
    def metrics(self) -> list[str]:
        """``NAME=VALUE``: the latest metrics of a training job; job counts and best value of a tuning job."""
        counts = self.description.get("TrainingJobStatusCounters", {})
        best = self.description.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
        metrics = self.description.get("FinalMetricDataList", []) + ([best] if best else [])
        return [
            *(f"{name}={count}" for name, count in counts.items() if count),
            *(f"{metric['MetricName']}={metric['Value']:.4f}" for metric in metrics),
        ]


def find(account: Account, name: str) -> list[Resource]:
    """All resources of this name; different types may share one.

    Raises:
        click.ClickException: there are none.
    """
    matches = [resource for type_ in RESOURCE_TYPES if (resource := type_.find(account, name))]
    if not matches:
        raise click.ClickException(
            f"no job or endpoint {name} in {account.region}; list them with 'python -m jobs status'"
        )
    return matches
