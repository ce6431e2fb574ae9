"""``upload``: reviews from this machine to S3."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from s3transfer.futures import TransferFuture
from s3transfer.subscribers import BaseSubscriber
from tqdm import tqdm

from byoc.errors import DataError, RequestError
from byoc.serving.payload import JSON_LINES, decode
from jobs import options, storage
from jobs.account import Account
from jobs.aws_request import Request, show
from sentiment.data.acl_imdb import SENTIMENTS, UNLABELLED
from sentiment.data.reviews import UNLABELED, read_channel

TO_PREDICT = "to-predict"


def files(channel: str, folder: Path) -> Iterator[Path]:
    """The files of a folder that a training job would look at; what is hidden is left out."""
    others = SENTIMENTS if channel == UNLABELED else (UNLABELLED,)
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or (path.is_dir() and path.name in others):
            continue
        if path.is_dir():
            yield from files(channel, path)
        else:
            yield path


def check(channel: str, folder: Path) -> str:
    """Read everything as a job will, so that a fault is found before anything is paid for.

    Returns:
        What there is, in words.

    Raises:
        DataError: a file cannot be used; names it, and the line.
    """
    if channel == TO_PREDICT:
        texts = sum(map(_count_lines, files(channel, folder)))
        if texts == 0:
            raise DataError(f"no reviews in {folder}; expected .jsonl files")
        return f"{texts} reviews to predict"
    labels = [review.label for review in read_channel(channel, folder)]
    if channel == UNLABELED:
        return f"{len(labels)} reviews without labels"
    return f"{len(labels)} reviews, {sum(labels)} of them positive"


def _count_lines(path: Path) -> int:
    if path.suffix != ".jsonl":
        raise DataError(f"{path} is not .jsonl; batch transform takes a review a line")
    try:
        return len(decode(path.read_bytes(), JSON_LINES))
    except RequestError as error:
        raise DataError(f"{path}: {error}") from error


def missing(account: Account, folder: Path, paths: Iterable[Path], uri: str) -> list[Path]:
    """The files that S3 does not have, or has in another size or from an earlier time."""
    there = storage.objects(account, uri)
    paths = list(paths)
    surplus = there.keys() - {path.relative_to(folder).as_posix() for path in paths}
    if surplus:
        click.echo(
            f"warning: {uri} has {len(surplus)} more files, such as {min(surplus)}; jobs will read them too",
            err=True,
        )

    def is_missing(path: Path) -> bool:
        found = there.get(path.relative_to(folder).as_posix())
        status = path.stat()
        return (
            found is None
            or found["Size"] != status.st_size
            or found["LastModified"].timestamp() < status.st_mtime
        )

    return [path for path in paths if is_missing(path)]


class _Progress(BaseSubscriber):
    """Tells a bar of what has been sent."""

    def __init__(self, bar: "tqdm[Any]") -> None:
        self._bar = bar

    def on_progress(self, future: TransferFuture, bytes_transferred: int, **_: Any) -> None:  # noqa: ARG002
        self._bar.update(bytes_transferred)


def send(account: Account, folder: Path, paths: list[Path], uri: str) -> None:
    """Send files, many at a time, and show how far it is.

    Raises:
        boto3.exceptions.S3UploadFailedError, botocore.exceptions.ClientError: S3 does not take one.
    """
    bucket, prefix = storage.split(uri)
    owner = {"ExpectedBucketOwner": account.identity["Account"]}
    total = sum(path.stat().st_size for path in paths)
    bar: tqdm[Any] = tqdm(total=total, unit="B", unit_scale=True, desc="uploading", disable=None)
    with bar, create_transfer_manager(account.client("s3"), TransferConfig()) as manager:
        sent = [
            manager.upload(
                str(path), bucket, f"{prefix}/{path.relative_to(folder).as_posix()}", owner, [_Progress(bar)]
            )
            for path in paths
        ]
        for each in sent:
            each.result()


@click.command()
@options.with_account
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--channel",
    type=click.Choice(["training", "validation", "test", UNLABELED, TO_PREDICT]),
    default="training",
    show_default=True,
    help=f"What the reviews are for; {UNLABELED} ones are for training, {TO_PREDICT} for transform.",
)
@options.dry_run
def upload(account: Account, folder: Path, channel: str, dry_run: bool) -> None:
    """Check the reviews in FOLDER and bring them to S3.

    Takes what training takes: the official layout or its archive, CSV, TSV, JSON Lines. What is there already
    is not sent again. Prints the address.
    """
    click.echo(check(channel, folder), err=True)
    uri = account.uri(channel)
    if dry_run:
        bucket, prefix = storage.split(uri)
        keys = (f"{prefix}/{path.relative_to(folder).as_posix()}" for path in files(channel, folder))
        return show(Request("s3", "PutObject", {"Bucket": bucket, "Key": key}) for key in keys)
    storage.make_bucket(account)
    to_send = missing(account, folder, files(channel, folder), uri)
    send(account, folder, to_send, uri)
    click.echo(f"files sent: {len(to_send)}", err=True)
    click.echo(uri)
    return None
