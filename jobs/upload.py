"""``upload``: check data on this machine and copy it to S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from s3transfer.futures import TransferFuture
from s3transfer.subscribers import BaseSubscriber
from tqdm import tqdm

from byoc.errors import DataError, RequestError
from byoc.serving.request import JSON_LINES, decode
from jobs import options, storage
from jobs.account import Account
from jobs.aws_request import Request, show
from sentiment.data.acl_imdb import SENTIMENTS, UNLABELLED
from sentiment.data.reviews import UNLABELED, read_channel

TO_PREDICT = "to-predict"


def files(channel: str, folder: Path) -> Iterator[Path]:
    """The files of a folder that a training job would read."""
    ignored = SENTIMENTS if channel == UNLABELED else (UNLABELLED,)
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or (path.is_dir() and path.name in ignored):
            continue
        if path.is_dir():
            yield from files(channel, path)
        else:
            yield path


def check(channel: str, folder: Path) -> str:
    """Read the data as a job would, to find faults before any charges.

    Returns:
        A summary in one line.

    Raises:
        DataError: a file is invalid; names the file and the line.
    """
    if channel == TO_PREDICT:
        texts = sum(map(_count_lines, files(channel, folder)))
        if texts == 0:
            raise DataError(f"no texts in {folder}; expected .jsonl files")
        return f"{texts} texts to predict"
    labels = [review.label for review in read_channel(channel, folder)]
    if channel == UNLABELED:
        return f"{len(labels)} reviews without labels"
    return f"{len(labels)} reviews, {sum(labels)} of them positive"


def _count_lines(path: Path) -> int:
    if path.suffix != ".jsonl":
        raise DataError(f"{path} is not .jsonl; batch transform requires one JSON object per line")
    try:
        return len(decode(path.read_bytes(), JSON_LINES))
    except RequestError as error:
        raise DataError(f"{path}: {error}") from error


def outdated(account: Account, folder: Path, paths: list[Path], uri: str) -> list[Path]:
    """The files that S3 lacks, or has with another size or from an earlier time."""
    objects = storage.objects(account, uri)
    surplus = objects.keys() - {path.relative_to(folder).as_posix() for path in paths}
    if surplus:
        click.echo(
            f"warning: {uri} has {len(surplus)} more files that jobs will read, for example {min(surplus)}",
            err=True,
        )

    def is_outdated(path: Path) -> bool:
        entry, status = objects.get(path.relative_to(folder).as_posix()), path.stat()
        return (
            entry is None
            or entry["Size"] != status.st_size
            or entry["LastModified"].timestamp() < status.st_mtime
        )

    return [path for path in paths if is_outdated(path)]


class _Progress(BaseSubscriber):
    """Advance a progress bar by the bytes sent."""

    def __init__(self, bar: "tqdm[Any]") -> None:
        self._bar = bar

    def on_progress(self, future: TransferFuture, bytes_transferred: int, **_: Any) -> None:  # noqa: ARG002
        self._bar.update(bytes_transferred)


def send(account: Account, folder: Path, paths: list[Path], uri: str) -> None:
    """Send files concurrently, with a progress bar.

    Raises:
        boto3.exceptions.S3UploadFailedError, botocore.exceptions.ClientError: S3 refuses a file.
    """
    bucket, prefix = storage.split(uri)
    owner = {"ExpectedBucketOwner": account.identity["Account"]}
    total = sum(path.stat().st_size for path in paths)
    bar: tqdm[Any] = tqdm(total=total, unit="B", unit_scale=True, desc="uploading", disable=None)
    with bar, create_transfer_manager(account.client("s3"), TransferConfig()) as manager:
        futures = [
            manager.upload(
                str(path), bucket, f"{prefix}/{path.relative_to(folder).as_posix()}", owner, [_Progress(bar)]
            )
            for path in paths
        ]
        for future in futures:
            future.result()


@click.command()
@options.with_account
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--channel",
    type=click.Choice(["training", "validation", "test", UNLABELED, TO_PREDICT]),
    default="training",
    show_default=True,
    help=f"Use of the data; {UNLABELED} is for training, {TO_PREDICT} for transform.",
)
@options.dry_run
def upload(account: Account, folder: Path, channel: str, dry_run: bool) -> None:
    """Check the data in FOLDER and upload it to S3.

    Accepts the formats of a training job: the aclImdb layout or its archive, CSV, TSV, JSON Lines. Skips
    files that are already in S3. Prints the S3 URI.
    """
    click.echo(check(channel, folder), err=True)
    uri, paths = account.uri(channel), list(files(channel, folder))
    if dry_run:
        bucket, prefix = storage.split(uri)
        keys = (f"{prefix}/{path.relative_to(folder).as_posix()}" for path in paths)
        return show(Request("s3", "PutObject", {"Bucket": bucket, "Key": key}) for key in keys)
    storage.ensure_bucket(account)
    to_send = outdated(account, folder, paths, uri)
    send(account, folder, to_send, uri)
    click.echo(f"files sent: {len(to_send)}", err=True)
    click.echo(uri)
    return None
