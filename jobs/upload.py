"""``upload``: check data on this machine and copy it to S3."""

import sys
from pathlib import Path
from typing import Any

import click
from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
from tqdm import tqdm

from byoc.errors import DataError, RequestError
from byoc.hyperparameters import parse_hyperparameters
from byoc.package import visible_files
from byoc.serving.request import JSON_LINES, Limits, decode
from jobs import options, storage
from jobs.account import Account
from jobs.aws_request import Request, show

TO_PREDICT = "to-predict"


def count_texts(folder: Path, text_fields: tuple[str, ...]) -> int:
    """The number of texts in a folder of JSON Lines files, read as an endpoint would read them.

    Raises:
        DataError: a file is invalid, or there are no texts; names the file and the line.
    """
    count = 0
    # A file has no limit: batch transform sends it in pieces.
    limits = Limits(texts=sys.maxsize, text_fields=(*text_fields, "inputs"))
    for path in visible_files(folder):
        if path.suffix != ".jsonl":
            raise DataError(f"{path} is not .jsonl; batch transform requires one JSON object per line")
        try:
            count += len(decode(path.read_bytes(), JSON_LINES, limits))
        except RequestError as error:
            raise DataError(f"{path}: {error}") from error
    if count == 0:
        raise DataError(f"no texts in {folder}; expected .jsonl files")
    return count


def outdated(account: Account, files: dict[str, Path], uri: str) -> dict[str, Path]:
    """The files, by name below the URI, that S3 lacks or has with another size or from an earlier time."""
    objects = storage.objects(account, uri)
    if surplus := objects.keys() - files.keys():
        example = f"{len(surplus)} more files that jobs will read, for example {min(surplus)}"
        click.echo(f"warning: {uri} has {example}", err=True)
    return {name: path for name, path in files.items() if not _is_current(objects.get(name), path)}


def _is_current(entry: dict[str, Any] | None, path: Path) -> bool:
    if entry is None:
        return False
    status = path.stat()
    return bool(entry["Size"] == status.st_size and entry["LastModified"].timestamp() >= status.st_mtime)


def send(account: Account, files: dict[str, Path], uri: str) -> None:
    """Send files concurrently, with a progress bar.

    Raises:
        boto3.exceptions.S3UploadFailedError, botocore.exceptions.ClientError: S3 refuses a file.
    """
    bucket, prefix = storage.split(uri)
    owner = {"ExpectedBucketOwner": account.identity["Account"]}
    total = sum(path.stat().st_size for path in files.values())
    bar: tqdm[Any] = tqdm(total=total, unit="B", unit_scale=True, desc="uploading", disable=None)
    with bar, create_transfer_manager(account.client("s3"), TransferConfig()) as manager:
        progress = [ProgressCallbackInvoker(bar.update)]
        for future in [
            manager.upload(str(path), bucket, f"{prefix}{name}", owner, progress)
            for name, path in files.items()
        ]:
            future.result()


@click.command()
@options.with_account
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--channel",
    type=click.Choice(["training", "validation", "test", "unlabeled", TO_PREDICT]),
    default="training",
    help=f"Use of the data; unlabeled is for training, {TO_PREDICT} for transform.",
)
@options.hyperparameters
@options.dry_run
def upload(
    account: Account, path: Path, channel: str, hyperparameters: dict[str, str], dry_run: bool
) -> None:
    """Check the file or folder PATH and upload it to S3.

    The model package reads the data as a training job with these hyperparameters would. Files that are
    already in S3 are skipped. Prints the S3 URI.
    """
    package = options.current_package().members
    if channel == TO_PREDICT:
        count = count_texts(path, package.text_fields)
        summary, paths = f"{count} texts to predict", visible_files(path)
    else:
        parsed = parse_hyperparameters(package.Hyperparameters, hyperparameters)
        summary, paths = package.check(path, channel, parsed), package.upload_files(path, channel)
    folder = path if path.is_dir() else path.parent
    files = {file.relative_to(folder).as_posix(): file for file in paths}
    click.echo(summary or f"{len(files)} files, not checked", err=True)
    uri = account.uri(channel)
    if dry_run:
        bucket, prefix = storage.split(uri)
        keys = [f"{prefix}{name}" for name in files]
        show([Request("s3", "PutObject", {"Bucket": bucket, "Key": key}) for key in keys])
    storage.ensure_bucket(account)
    changed = outdated(account, files, uri)
    send(account, changed, uri)
    click.echo(f"files sent: {len(changed)}", err=True)
    click.echo(uri)
