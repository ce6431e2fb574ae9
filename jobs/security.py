"""Security options of jobs and endpoints: network isolation, VPC, KMS keys."""

from dataclasses import dataclass, fields
from functools import wraps
from typing import Any

import click

from jobs.options import Command, several


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """Values of the options, and the request parameters built from them; empty for unset options."""

    network_isolation: bool = True
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str | None = None
    volume_kms_key: str | None = None

    def __post_init__(self) -> None:
        if bool(self.subnets) != bool(self.security_groups):
            raise click.UsageError("a VPC needs both --subnet and --security-group")

    @property
    def vpc(self) -> dict[str, Any]:
        """Subnets and security groups of the containers."""
        if not self.subnets:
            return {}
        return {"VpcConfig": {"Subnets": list(self.subnets), "SecurityGroupIds": list(self.security_groups)}}

    @property
    def s3_key(self) -> dict[str, str]:
        """The key for output in S3."""
        return {"KmsKeyId": self.kms_key} if self.kms_key else {}

    def volume_key(self, parameter: str = "VolumeKmsKeyId") -> dict[str, str]:
        """The key for disks; an endpoint configuration uses a different parameter name."""
        return {parameter: self.volume_kms_key} if self.volume_kms_key else {}


_OPTIONS = several(
    click.option(
        "--network-isolation/--no-network-isolation",
        default=True,
        show_default=True,
        help="Block the container's network access; it needs none.",
    ),
    click.option("--subnet", "subnets", multiple=True, help="Subnet of your VPC; repeatable."),
    click.option(
        "--security-group", "security_groups", multiple=True, help="Security group of your VPC; repeatable."
    ),
    click.option("--kms-key", help="KMS key for output in S3."),
    click.option("--volume-kms-key", help="KMS key for the instances' disks."),
)


def with_security(command: Command) -> Command:
    """Add the options; the command gets them as ``security``."""

    @_OPTIONS
    @wraps(command)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        values = {field.name: options.pop(field.name) for field in fields(SecurityOptions)}
        return command(*arguments, security=SecurityOptions(**values), **options)

    return wrapper
