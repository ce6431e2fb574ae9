"""A call of an AWS service, validated against botocore's service model, then printed or sent."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import botocore.session
import click
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.validate import validate_parameters

from jobs.account import Account


class Request(NamedTuple):
    """One call; ``operation`` is spelled as in AWS's documentation: CreateTrainingJob."""

    service: str
    operation: str
    parameters: dict[str, Any]


def sagemaker(operation: str, **parameters: Any) -> Request:
    """A request to SageMaker, without the parameters that are None, at any depth."""
    return Request("sagemaker", operation, _prune(parameters))


def _prune(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _prune(member) for name, member in value.items() if member is not None}
    return [_prune(member) for member in value] if isinstance(value, list) else value


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def check(request: Request) -> None:
    """Refuse unknown or missing parameters and wrong types.

    Raises:
        botocore.exceptions.ParamValidationError: names every fault.
    """
    shape = _model(request.service).operation_model(request.operation).input_shape
    if shape is not None:
        validate_parameters(request.parameters, shape)


def show(requests: Iterable[Request]) -> None:
    """Check requests and print them as JSON."""
    requests = list(requests)
    for request in requests:
        check(request)
    click.echo(json.dumps([request._asdict() for request in requests], indent=2))


def send(account: Account, request: Request) -> dict[str, Any]:
    """Send a request, which boto3 checks, and return the response.

    Raises:
        botocore.exceptions.ClientError: AWS refuses it.
    """
    call = getattr(account.client(request.service), xform_name(request.operation))
    response: dict[str, Any] = call(**request.parameters)
    return response


def send_all(account: Account, requests: Iterable[Request]) -> None:
    """Send requests in order; the first error ends it."""
    for request in requests:
        send(account, request)
