"""Find the IAM role for SageMaker: from an option, the account, or a prompt."""

import re

import click
from botocore.exceptions import ClientError

from jobs.account import Account

SERVICE = "sagemaker.amazonaws.com"
_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_POLICIES = "jobs/policies/execution-role*.json list the required permissions"


def find(account: Account, role: str | None) -> str:
    """The ARN of a role given by ARN or name, or of the only role that SageMaker can assume.

    Raises:
        click.ClickException: the role does not exist.
        click.Abort: a prompt got no answer.
    """
    if role:
        return role if _ARN.fullmatch(role) else _by_name(account, role)
    try:
        arns = _from_session(account) or _assumable(account)
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith("AccessDenied"):
            raise
        return find(account, click.prompt("You may not list roles; enter the role's name or ARN", err=True))
    if not arns:
        raise click.ClickException(f"no role that SageMaker can assume; create one: {_POLICIES}")
    number = 1
    if len(arns) > 1:
        lines = [f"{number:3} {arn}" for number, arn in enumerate(arns, start=1)]
        click.echo("\n".join(["SageMaker can assume these roles:", *lines]), err=True)
        text = "Number of the role (or use --role)"
        number = click.prompt(text, type=click.IntRange(1, len(arns)), err=True)
    click.echo(f"role: {arns[number - 1]}", err=True)
    return arns[number - 1]


def get_arn(account: Account, name: str) -> str | None:
    """The ARN of the role of this name; None if it does not exist."""
    iam = account.client("iam")
    try:
        return str(iam.get_role(RoleName=name)["Role"]["Arn"])
    except iam.exceptions.NoSuchEntityException:
        return None


def _by_name(account: Account, name: str) -> str:
    if arn := get_arn(account, name):
        return arn
    raise click.ClickException(f"no role {name}; {_POLICIES}")


def _from_session(account: Account) -> list[str]:
    """The role of the notebook or Studio that this runs in, if any."""
    match = re.search(r":assumed-role/([^/]+)/SageMaker$", account.identity["Arn"])
    return [_by_name(account, match[1])] if match else []


def _assumable(account: Account) -> list[str]:
    pages = account.client("iam").get_paginator("list_roles").paginate()
    return sorted(
        role["Arn"]
        for page in pages
        for role in page["Roles"]
        if SERVICE in str(role["AssumeRolePolicyDocument"])
        # Service-linked roles cannot be passed.
        and not role["Path"].startswith("/aws-service-role/")
    )
