"""Security options of jobs and endpoints: network isolation, VPC, KMS keys."""

from collections.abc import Mapping
from typing import Any

import click

from jobs.options import several

security = several(
    click.option("--network-isolation/--no-network-isolation", default=True, help="Block network access."),
    click.option("--subnet", "subnets", multiple=True, help="Subnet of your VPC; repeatable."),
    click.option("--security-group", "security_groups", multiple=True, help="Security group; repeatable."),
    click.option("--kms-key", help="KMS key for output in S3."),
    click.option("--volume-kms-key", help="KMS key for the instances' disks."),
)


def vpc(values: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Subnets and security groups of the containers, from the values of the options; None without a VPC.

    Raises:
        click.UsageError: one of the two is missing.
    """
    subnets, groups = list(values["subnets"]), list(values["security_groups"])
    if bool(subnets) != bool(groups):
        raise click.UsageError("a VPC needs both --subnet and --security-group")
    return {"Subnets": subnets, "SecurityGroupIds": groups} if subnets else None
