"""What shields a job or an endpoint: isolation from the network, a VPC, keys."""

from dataclasses import dataclass, fields
from functools import wraps
from typing import Any

import click

from jobs.options import Command, several


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """The options, and the parts of requests that they become; empty where nothing was asked for."""

    network_isolation: bool = True
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str | None = None
    volume_kms_key: str | None = None

    def __post_init__(self) -> None:
        """Refuse half a VPC.

        Raises:
            click.UsageError: only one of the two is given.
        """
        if bool(self.subnets) != bool(self.security_groups):
            raise click.UsageError("a VPC needs both --subnet and --security-group")

    @property
    def vpc(self) -> dict[str, Any]:
        """Where the containers are."""
        if not self.subnets:
            return {}
        return {"VpcConfig": {"Subnets": list(self.subnets), "SecurityGroupIds": list(self.security_groups)}}

    @property
    def s3_key(self) -> dict[str, str]:
        """What encrypts results."""
        return {"KmsKeyId": self.kms_key} if self.kms_key else {}

    def volume_key(self, parameter: str = "VolumeKmsKeyId") -> dict[str, str]:
        """What encrypts disks; its parameter has another name in an endpoint's configuration."""
        return {parameter: self.volume_kms_key} if self.volume_kms_key else {}


_OPTIONS = several(
    click.option(
        "--network-isolation/--no-network-isolation",
        default=True,
        show_default=True,
        help="No network for the container; it needs none.",
    ),
    click.option("--subnet", "subnets", multiple=True, help="Of your VPC; may be repeated."),
    click.option("--security-group", "security_groups", multiple=True, help="Of your VPC; may be repeated."),
    click.option("--kms-key", help="Key that encrypts what is written to S3."),
    click.option("--volume-kms-key", help="Key that encrypts the instances' disks."),
)


def with_security(command: Command) -> Command:
    """The options, given to the command as ``security``."""

    @_OPTIONS
    @wraps(command)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        chosen = {field.name: options.pop(field.name) for field in fields(SecurityOptions)}
        return command(*arguments, security=SecurityOptions(**chosen), **options)

    return wrapper
