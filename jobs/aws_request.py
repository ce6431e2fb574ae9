"""A call of an AWS service: checked, then printed or sent."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import click
from botocore import xform_name

from jobs import validation
from jobs.account import Account


class Request(NamedTuple):
    """One call; ``operation`` is spelled as in AWS's documentation: CreateTrainingJob."""

    service: str
    operation: str
    parameters: dict[str, Any]

    def check(self) -> None:
        """Refuse a request that AWS would refuse without looking at the account.

        Raises:
            jobs.validation.InvalidRequestError: names every fault.
        """
        validation.check(*self)


def sagemaker(operation: str, **parameters: Any) -> Request:
    """A request to SageMaker, without the parameters that are None, at any depth."""
    return Request("sagemaker", operation, _prune(parameters))


def put_alarm(name: str, namespace: str, metric: str, **parameters: Any) -> Request:
    """The request for an alarm that a value of 1 or more in a minute raises."""
    alarm = {
        "AlarmName": name,
        "Namespace": namespace,
        "MetricName": metric,
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1.0,
    }
    return Request("cloudwatch", "PutMetricAlarm", alarm | parameters)


def _prune(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _prune(member) for name, member in value.items() if member is not None}
    return [_prune(member) for member in value] if isinstance(value, list) else value


def show(requests: Sequence[Request]) -> NoReturn:
    """Check requests, print them as JSON, and end the command: for ``--dry-run``."""
    for request in requests:
        request.check()
    click.echo(json.dumps([request._asdict() for request in requests], indent=2))
    raise click.exceptions.Exit(0)


def send(account: Account, request: Request) -> dict[str, Any]:
    """Check and send a request, and return the response.

    Raises:
        jobs.validation.InvalidRequestError: the request is invalid and was not sent.
        botocore.exceptions.ClientError: AWS refuses it.
    """
    request.check()
    call = getattr(account.client(request.service), xform_name(request.operation))
    response: dict[str, Any] = call(**request.parameters)
    return response


def send_all(account: Account, requests: Iterable[Request]) -> None:
    """Send requests in order; the first error ends it."""
    for request in requests:
        send(account, request)
