"""AWS account and region of the current credentials."""

import os
from functools import cached_property
from typing import Any

import boto3
import click


class Account:
    """Clients, and names that depend on the account.

    Args:
        prefix: beginning of names, and folder of all objects in a bucket.
        region: None for AWS_REGION, AWS_DEFAULT_REGION or the region of the AWS profile.
        bucket: bucket of data and results; None for the SageMaker SDK's default.
    """

    def __init__(self, prefix: str, region: str | None = None, bucket: str | None = None) -> None:
        self.prefix = prefix
        self._session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
        self._bucket = bucket
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """The AWS region.

        Raises:
            click.ClickException: no region is configured.
        """
        if not self._session.region_name:
            raise click.ClickException("no AWS region; use --region, set AWS_REGION, or run 'aws configure'")
        return self._session.region_name

    def client(self, service: str) -> Any:
        """The boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, region_name=self.region)  # type: ignore[call-overload]
        return self._clients[service]

    @cached_property
    def identity(self) -> dict[str, str]:
        """The caller's ``Account`` and ``Arn``."""
        identity: dict[str, str] = self.client("sts").get_caller_identity()
        return identity

    @property
    def bucket(self) -> str:
        """The bucket of data and results."""
        return self._bucket or f"sagemaker-{self.region}-{self.identity['Account']}"

    def uri(self, *names: str) -> str:
        """The S3 URI of a folder in the bucket.

        It ends with a slash, because S3 matches prefixes as strings: training also matches training2/.
        """
        return "/".join([f"s3://{self.bucket}", self.prefix, *names, ""])
