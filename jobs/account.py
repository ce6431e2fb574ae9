"""The AWS account and region that the credentials at hand lead to."""

import os
from functools import cached_property
from typing import Any

import boto3
import click

FOLDER = "sentiment"  # what is ours in a bucket lies below this


class Account:
    """Clients, and the names that depend on the account.

    Args:
        region: None for that of AWS_REGION, AWS_DEFAULT_REGION or the AWS profile.
        bucket: where data and results are, None for the SageMaker SDK's own of this account and region.
    """

    def __init__(self, region: str | None = None, bucket: str | None = None) -> None:
        self._session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
        self._bucket = bucket
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """The region.

        Raises:
            click.ClickException: none is set anywhere.
        """
        if not self._session.region_name:
            raise click.ClickException(
                "no region; use --region, set AWS_REGION, or run: aws configure set region REGION"
            )
        return self._session.region_name

    def client(self, service: str) -> Any:
        """The client of a service; one a service."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, region_name=self.region)  # type: ignore[call-overload]
        return self._clients[service]

    @cached_property
    def identity(self) -> dict[str, str]:
        """Who asks: ``Account`` and ``Arn``."""
        answer: dict[str, str] = self.client("sts").get_caller_identity()
        return answer

    @property
    def bucket(self) -> str:
        """The bucket of data and results."""
        return self._bucket or f"sagemaker-{self.region}-{self.identity['Account']}"

    def uri(self, *parts: str) -> str:
        """The address of something of ours in the bucket."""
        return "/".join([f"s3://{self.bucket}", FOLDER, *parts])
