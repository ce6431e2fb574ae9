"""Run a job on the first instance type that has quota and capacity."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from jobs import overrides, wait
from jobs.account import Account
from jobs.aws_request import Request, send
from jobs.resources import TRAINING, Resource, ResourceType

# P3 is the project's reference; AWS retires it.
DEFAULT_TYPES = ("ml.p3.2xlarge", "ml.g5.xlarge", "ml.g4dn.xlarge", "ml.c5.2xlarge")
# Tag of a job that replaces a failed one, with the failed job's name.
REPLACES = "replaces"

MakeRequest = Callable[[str, list[dict[str, str]], list[str]], Request]


def select_types(account: Account, values: Mapping[str, Any]) -> list[str]:
    """The instance types to try, in order, without those whose quota is known to be too small.

    Raises:
        click.ClickException: no type is left.
    """
    types: list[str] = list(values["instance_types"])
    if not values["fallback"] or len(types) == 1:
        return types[:1]
    use = "spot training job usage" if values["spot"] else "training job usage"
    known, count = _quotas(account), values["instance_count"]
    small = {name: quota for name in types if (quota := known.get(f"{name} for {use}", count)) < count}
    for name, quota in small.items():
        click.echo(f"{name} is left out: the quota '{name} for {use}' is {quota:g}", err=True)
    if len(small) == len(types):
        raise click.ClickException("no instance type has quota; request an increase in Service Quotas")
    return [name for name in types if name not in small]


def _quotas(account: Account) -> dict[str, float]:
    """SageMaker's quotas by name; empty if they may not be listed."""
    pages = account.client("service-quotas").get_paginator("list_service_quotas")
    try:
        return {
            quota["QuotaName"]: quota["Value"]
            for page in pages.paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 100})
            for quota in page["Quotas"]
        }
    except (BotoCoreError, ClientError):
        return {}


def job_name(name: str, attempt: int, limit: int = 63) -> str:
    """The name of an attempt: NAME, NAME-2, NAME-3."""
    return name if attempt == 1 else f"{name[: limit - 2].rstrip('-')}-{attempt}"


def run(
    account: Account, type_: ResourceType, name: str, make_request: MakeRequest, values: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Run a job; on a refusal or, on spot instances, without capacity, run it on the remaining types.

    ``make_request`` gets the job's name, its tags and the instance types. Returns the final description; None
    without ``wait``.

    Raises:
        click.ClickException: no instance type has quota.
        jobs.wait.EndedError: the job failed for another reason, or on every type.
        botocore.exceptions.ClientError: AWS refuses the request for every type, or for another reason.
    """
    types, attempt = select_types(account, values), 1
    count, minutes = values["instance_count"], values["max_minutes"]
    click.echo(f"{name}: {count} x {' or '.join(types)}, for at most {minutes} minutes", err=True)

    def build(attempt_name: str, types: list[str]) -> Request:
        replaces = [] if attempt_name == name else [{"Key": REPLACES, "Value": name}]
        request = make_request(attempt_name, values["tags"] + replaces, types)
        return overrides.prepare([request], values)[0]

    while True:
        attempt_name = job_name(name, attempt, 63 if type_ is TRAINING else 32)
        start = partial(_send, account, partial(build, attempt_name), types)
        try:
            return wait.run(account, type_, attempt_name, start, watch=values["wait"])
        except wait.EndedError as error:
            if not values["spot"] or len(types) == 1 or not _lacks_capacity(error.resource):
                raise
            click.echo(f"{error.message}; next instance type: {types[1]}", err=True)
            types, attempt = types[1:], attempt + 1


def _send(account: Account, build: Callable[[list[str]], Request], types: list[str]) -> None:
    """Send the request; removes the types that AWS refuses from the list."""
    while True:
        try:
            send(account, build(types))
            return
        except ClientError as error:
            refused = _refused(error, types)
            if not refused or len(refused) == len(types):
                raise
            types[:] = [name for name in types if name not in refused]
            click.echo(f"{', '.join(refused)} refused ({error}); next: {types[0]}", err=True)


def _refused(error: ClientError, types: list[str]) -> list[str]:
    """The instance types that a refusal is about; without a name in it, the first."""
    named = [name for name in types if name in str(error)]
    about_capacity = error.response["Error"]["Code"] == "ResourceLimitExceeded" or "apacity" in str(error)
    return named or (types[:1] if about_capacity else [])


def _lacks_capacity(resource: Resource) -> bool:
    """Whether a job ended for lack of capacity, or waited too long for it."""
    description = resource.description
    return (
        "CapacityError" in description.get("FailureReason", "")
        or description.get("SecondaryStatus") == "MaxWaitTimeExceeded"
    )
