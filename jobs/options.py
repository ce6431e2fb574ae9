"""Arguments and options shared by several commands."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from jobs import image, instances
from jobs.account import Account
from jobs.model_package import ModelPackage

Command = Callable[..., Any]
MAX_TYPES = 5  # of InstancePreferences
PROJECT_TAG = {"Key": "project", "Value": "sagemaker-sentiment-lstm"}


def current_package(context: click.Context | None = None) -> ModelPackage:
    """The package that ``--model`` selected."""
    package = (context or click.get_current_context()).find_object(ModelPackage)
    assert package is not None
    return package


def _check_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str:
    name = name or f"{current_package(context).prefix}-{datetime.now():%Y%m%d-%H%M%S}"
    limit = 32 if context.command.name == "tune" else 63
    if len(name) > limit or not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", name):
        raise click.BadParameter(f"expected up to {limit} letters, digits and single -", param=parameter)
    return name


def _check_s3_uri(_context: click.Context, parameter: click.Parameter, uri: str | None) -> str | None:
    if uri is not None and not re.fullmatch(r"s3://[^/]+/.+", uri):
        raise click.BadParameter(f"expected s3://BUCKET/FOLDER, found {uri}", param=parameter)
    return uri


def _check_instance_types(
    _context: click.Context, parameter: click.Parameter, value: str | tuple[str, ...]
) -> str | tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if len(names) > MAX_TYPES:
        raise click.BadParameter(f"expected at most {MAX_TYPES} types", param=parameter)
    for name in names:
        if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", name):
            raise click.BadParameter(f"expected a name like ml.p3.2xlarge, found {name}", param=parameter)
        instances.check(name)
    return value


def _parse_tags(
    _context: click.Context, parameter: click.Parameter, tags: tuple[str, ...]
) -> list[dict[str, str]]:
    parsed = [PROJECT_TAG]
    for tag in tags:
        key, equals, value = tag.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"expected KEY=VALUE, found {tag}", param=parameter)
        parsed.append({"Key": key, "Value": value})
    return parsed


def _parse_hyperparameters(
    context: click.Context, parameter: click.Parameter, arguments: tuple[str, ...]
) -> dict[str, str]:
    """Hyperparameters as SageMaker takes them, checked as the job will check them.

    Raises:
        click.BadParameter: an argument is not NAME=VALUE, or a name is repeated.
        byoc.errors.HyperparameterError: names every unknown name and invalid value.
    """
    values: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = name.replace("-", "_")
        if not (name and equals):
            message = f"expected NAME=VALUE, for example epochs=3; found {argument}"
            raise click.BadParameter(message, param=parameter)
        if name in values:
            raise click.BadParameter(f"{name} is set twice", param=parameter)
        values[name] = value
    current_package(context).check_hyperparameters(values)
    return values


def several(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Combine decorators; the help lists them in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def with_account(command: Command) -> Command:
    """Add options for region and bucket; the command gets an ``Account`` as its first argument."""

    @click.option("--region", help="Default: AWS_REGION, AWS_DEFAULT_REGION or the AWS profile.")
    @click.option("--bucket", help="Bucket for data and results. Default: sagemaker-REGION-ACCOUNT.")
    @wraps(command)
    def wrapper(region: str | None, bucket: str | None, **options: Any) -> Any:
        return command(Account(current_package().prefix, region, bucket), **options)

    return wrapper


def s3_uri(name: str, text: str) -> Callable[[Command], Command]:
    """An option that takes an S3 URI."""
    return click.option(name, callback=_check_s3_uri, metavar="S3_URI", help=text)


def positive(name: str, default: int | None, text: str | None = None) -> Callable[[Command], Command]:
    """An option that takes a positive integer."""
    return click.option(name, type=click.IntRange(1), default=default, help=text)


def instance_types(default: tuple[str, ...]) -> Callable[[Command], Command]:
    """The options ``--instance-type``, repeatable, and ``--fallback``."""
    return several(
        click.option(
            "--instance-type",
            "instance_types",
            multiple=True,
            default=default,
            callback=_check_instance_types,
            help="Repeatable: the next type is used if the previous one is refused or has no capacity.",
        ),
        click.option("--fallback/--no-fallback", default=True, help="Use more than the first type."),
    )


def instance_type(default: str) -> Callable[[Command], Command]:
    """The option ``--instance-type``."""
    return click.option("--instance-type", default=default, callback=_check_instance_types)


hyperparameters = click.argument(
    "hyperparameters", nargs=-1, metavar="[HYPERPARAMETER=VALUE]...", callback=_parse_hyperparameters
)
name = click.option("--name", callback=_check_name, help="Default: PACKAGE-DATE-TIME.")
instance_count = positive("--instance-count", 1)
image_and_role = several(
    click.option("--image", help=f"In ECR, as NAME, NAME:TAG or a full URI. Default: {image.DEFAULT}."),
    click.option("--role", help="Name or ARN of SageMaker's role. Default: the role that it can assume."),
)
register = click.option("--register", metavar="GROUP", help="Register the model in this model package group.")
tags = click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", callback=_parse_tags)
_SET_HELP = "Set any parameter of a request, for example RetryStrategy.MaximumRetryAttempts=3; repeatable."
settings = click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help=_SET_HELP)
wait = click.option("--wait/--no-wait", default=True, help="Watch until it is done.")
dry_run = click.option("--dry-run", is_flag=True, help="Print the requests as JSON; change nothing.")
yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
