"""What lies in S3."""

from typing import Any

import click
from botocore.exceptions import ClientError

from jobs.account import Account


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def objects(account: Account, uri: str) -> dict[str, dict[str, Any]]:
    """The objects of a folder, by their names relative to it."""
    bucket, prefix = split(uri)
    prefix = prefix.rstrip("/") + "/"
    pages = account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"].removeprefix(prefix): entry for page in pages for entry in page.get("Contents", [])}


def check_not_empty(account: Account, uri: str) -> None:
    """Refuse an address that a job would find nothing at.

    Raises:
        click.ClickException: there is no such bucket, or nothing at the address.
    """
    bucket, prefix = split(uri)
    try:
        found = account.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        found = 0
    if not found:
        raise click.ClickException(f"there is nothing at {uri}; python -m jobs upload puts reviews there")


def make_bucket(account: Account) -> None:
    """Make the account's bucket, unless it exists.

    Raises:
        botocore.exceptions.ClientError: it belongs to somebody else, or must not be made.
    """
    s3 = account.client("s3")
    try:
        s3.head_bucket(Bucket=account.bucket, ExpectedBucketOwner=account.identity["Account"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
    else:
        return
    # The oldest region cannot be named.
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
    s3.create_bucket(Bucket=account.bucket, **({} if account.region == "us-east-1" else elsewhere))
    click.echo(f"made the bucket {account.bucket}", err=True)
