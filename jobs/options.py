"""Options that several commands share."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from jobs import image, instances
from jobs.account import Account

Command = Callable[..., Any]
# Each resource is tagged with it, and the policies let a user touch only what has a name that begins so.
PREFIX = "sentiment"
PROJECT_TAG = {"Key": "project", "Value": "sagemaker-sentiment-lstm"}


def new_name() -> str:
    """A name that nothing has yet: of at most 32 characters, which is what a tuning job may have."""
    return f"{PREFIX}-{datetime.now():%Y%m%d-%H%M%S}"


def _check_name(_context: click.Context, parameter: click.Parameter, name: str | None) -> str:
    name = name or new_name()
    longest = 32 if _context.command.name == "tune" else 63
    if len(name) > longest or not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", name):
        raise click.BadParameter(f"expected up to {longest} letters, digits and single -", param=parameter)
    return name


def _check_s3_uri(_context: click.Context, parameter: click.Parameter, uri: str | None) -> str | None:
    if uri is not None and not re.fullmatch(r"s3://[^/]+/.+", uri):
        raise click.BadParameter(f"{uri} is not s3://BUCKET/FOLDER", param=parameter)
    return uri


def _check_instance_type(_context: click.Context, parameter: click.Parameter, name: str) -> str:
    if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", name):
        raise click.BadParameter(f"{name} is not like ml.p3.2xlarge", param=parameter)
    return instances.check(name)


def _parse_tags(
    _context: click.Context, parameter: click.Parameter, tags: tuple[str, ...]
) -> list[dict[str, str]]:
    parsed = [PROJECT_TAG]
    for tag in tags:
        key, equals, value = tag.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{tag} is not KEY=VALUE", param=parameter)
        parsed.append({"Key": key, "Value": value})
    return parsed


def several(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Many decorators as one; in the help they come in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def with_account(command: Command) -> Command:
    """Options for region and bucket, given to the command as its first argument, an ``Account``."""

    @click.option("--region", help="Default: AWS_REGION, AWS_DEFAULT_REGION or that of your AWS profile.")
    @click.option("--bucket", help="Bucket of data and results. Default: sagemaker-REGION-ACCOUNT.")
    @wraps(command)
    def wrapper(region: str | None, bucket: str | None, **others: Any) -> Any:
        return command(Account(region, bucket), **others)

    return wrapper


def s3_uri(name: str, text: str) -> Callable[[Command], Command]:
    """An option that takes an address in S3."""
    return click.option(name, callback=_check_s3_uri, metavar="S3_URI", help=text)


def instance_type(default: str) -> Callable[[Command], Command]:
    """The option for it."""
    return click.option("--instance-type", default=default, show_default=True, callback=_check_instance_type)


name = click.option("--name", callback=_check_name, help="Default: sentiment-DATE-TIME.")
instance_count = click.option("--instance-count", type=click.IntRange(1), default=1, show_default=True)
image_and_role = several(
    click.option(
        "--image", default=image.DEFAULT, show_default=True, help="In ECR, as NAME, NAME:TAG or a whole URI."
    ),
    click.option("--role", help="Name or ARN of the role for SageMaker. Default: it is looked for."),
)
tags = click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", callback=_parse_tags)
wait = click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Whether to watch it until it is done."
)
dry_run = click.option("--dry-run", is_flag=True, help="Print the request as JSON; change nothing.")
yes = click.option("--yes", is_flag=True, help="Do not ask.")
