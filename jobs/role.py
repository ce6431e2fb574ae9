"""The role that SageMaker takes for a job: given, found, or asked for."""

import re

import click
from botocore.exceptions import ClientError

from jobs.account import Account

SERVICE = "sagemaker.amazonaws.com"
_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_POLICIES = "jobs/policies/execution-role*.json hold what it needs"


def find(account: Account, role: str | None) -> str:
    """The ARN of the role: of the one given by ARN or name, else of the only one that SageMaker may take.

    Raises:
        click.ClickException: there is no such role.
        click.Abort: the person at the terminal, if any, does not answer.
    """
    if role and _ARN.fullmatch(role):
        return role
    if role:
        return _by_name(account, role)
    try:
        found = _own(account) or _for_sagemaker(account)
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith("AccessDenied"):
            raise
        return find(account, click.prompt("You may not look for a role; name or ARN of it", err=True))
    if not found:
        raise click.ClickException(f"no role here can be taken by SageMaker; make one: {_POLICIES}")
    if len(found) == 1:
        click.echo(f"role: {found[0]}", err=True)
        return found[0]
    click.echo("SageMaker may take these roles:", err=True)
    for number, arn in enumerate(found, start=1):
        click.echo(f"{number:3} {arn}", err=True)
    number = click.prompt("Which one (or use --role)", type=click.IntRange(1, len(found)), err=True)
    return found[number - 1]


def _by_name(account: Account, name: str) -> str:
    try:
        arn: str = account.client("iam").get_role(RoleName=name)["Role"]["Arn"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        raise click.ClickException(f"there is no role {name}; {_POLICIES}") from error
    return arn


def _own(account: Account) -> list[str]:
    """The role of a notebook or Studio, where this runs inside SageMaker."""
    match = re.search(r":assumed-role/([^/]+)/SageMaker$", account.identity["Arn"])
    return [_by_name(account, match[1])] if match else []


def _for_sagemaker(account: Account) -> list[str]:
    pages = account.client("iam").get_paginator("list_roles").paginate()
    return sorted(
        role["Arn"]
        for page in pages
        for role in page["Roles"]
        if SERVICE in str(role["AssumeRolePolicyDocument"])
        # Those of AWS's own services cannot be passed.
        and not role["Path"].startswith("/aws-service-role/")
    )
