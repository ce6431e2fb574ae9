"""Objects and buckets in S3."""

from typing import Any

import click
from botocore.exceptions import ClientError

from jobs.account import Account


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def objects(account: Account, uri: str) -> dict[str, dict[str, Any]]:
    """The objects below the URI of a folder, by their relative names."""
    bucket, prefix = split(uri)
    pages = account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"].removeprefix(prefix): entry for page in pages for entry in page.get("Contents", [])}


def resolve(account: Account, uri: str) -> str:
    """A URI with data: that of a folder with a slash at its end, or that of an object.

    Raises:
        click.ClickException: the bucket does not exist, or has nothing at the URI.
    """
    bucket, key = split(uri)
    folder = key.rstrip("/") + "/"
    s3 = account.client("s3")
    try:
        page = s3.list_objects_v2(Bucket=bucket, Prefix=folder.rstrip("/"), MaxKeys=1000)
    except s3.exceptions.NoSuchBucket:
        page = {}
    keys = [entry["Key"] for entry in page.get("Contents", [])]
    if key in keys and not key.endswith("/"):
        return uri
    if page.get("IsTruncated") or any(name.startswith(folder) for name in keys):
        return f"s3://{bucket}/{folder}"
    raise click.ClickException(f"no objects at {uri}; upload data with 'python -m jobs upload'")


def ensure_bucket(account: Account) -> None:
    """Create the account's bucket unless it exists.

    Raises:
        botocore.exceptions.ClientError: another account owns it, or it may not be created.
    """
    s3 = account.client("s3")
    try:
        s3.head_bucket(Bucket=account.bucket, ExpectedBucketOwner=account.identity["Account"])
        return
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
    # us-east-1 is no valid LocationConstraint.
    location = {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
    s3.create_bucket(Bucket=account.bucket, **({} if account.region == "us-east-1" else location))
    click.echo(f"created bucket {account.bucket}", err=True)
