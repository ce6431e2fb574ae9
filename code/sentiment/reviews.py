"""Reading the labelled reviews of a channel, whatever its format."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sentiment import acl_imdb
from sentiment.errors import DataError
from sentiment.formats import Record, read_json_lines, read_table
from sentiment.sources import Source

logger = logging.getLogger(__name__)

ACCEPTED = (
    "the aclImdb layout (pos/ and neg/), its archive (.tar.gz), .csv, .tsv or .jsonl, "
    "the last three plain or gzipped"
)


class Review(NamedTuple):
    """One labelled review.

    Attributes:
        text: as it was written, HTML included.
        label: 1 for positive, 0 for negative.
        source: where it comes from.
        movie: what the review is about, None where the data does not tell.
    """

    text: str
    label: int
    source: Source
    movie: str | None = None


def read_channel(name: str, folder: Path, may_be_empty: bool = False) -> Iterator[Review]:
    """The labelled reviews of one channel, one at a time, always in the same order.

    In an official layout the channel ``test`` reads only ``test/`` and every other channel only
    ``train/``; what is left out is logged.

    Args:
        name: of the channel.
        folder: its files.
        may_be_empty: the files may all have gone to other hosts.

    Raises:
        DataError: the channel is empty, or a file or line in it cannot be used; names it.
    """
    if may_be_empty and not folder.is_dir():
        return
    half = "test" if name == "test" else "train"
    count = 0
    for review in _read_folder(name, folder, half, is_root=True):
        count += 1
        yield review
    if count == 0 and not may_be_empty:
        raise DataError(f"channel {name}: no labelled reviews in {folder}; expected {ACCEPTED}")


def _read_folder(channel: str, folder: Path, half: str, is_root: bool = False) -> Iterator[Review]:
    inner = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    if inner.keys() & set(acl_imdb.SENTIMENTS):
        if not is_root and folder.name in acl_imdb.HALVES and folder.name != half:
            logger.info("channel %s: %s is left out, only %s/ is read", channel, folder, half)
            return
        for name, text, label, movie in acl_imdb.read_half(folder):
            yield Review(text, label, Source(name, 0), movie)
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")) or entry.name in acl_imdb.SENTIMENTS:
            continue
        if entry.name == acl_imdb.UNLABELLED and entry.is_dir():
            logger.info("channel %s: %s is left out, it has no labels", channel, entry)
        elif entry.is_dir():
            yield from _read_folder(channel, entry, half)
        elif not acl_imdb.is_extra(entry.name):
            yield from _read_file(channel, entry, half)


def _read_file(channel: str, path: Path, half: str) -> Iterator[Review]:
    if acl_imdb.is_archive(path):
        logger.info("channel %s: only %s/ of %s is read", channel, half, path)
        for name, text, label, movie in acl_imdb.read_archive(path, half):
            yield Review(text, label, Source(name, 0), movie)
        return
    for line, text, label in _records(channel, path):
        yield Review(text, label, Source(str(path), line))


def _records(channel: str, path: Path) -> Iterator[Record]:
    match path.name.removesuffix(".gz").rpartition(".")[2].lower():
        case "csv":
            return read_table(path, ",")
        case "tsv":
            return read_table(path, "\t")
        case "jsonl":
            return read_json_lines(path)
        case "manifest":
            raise DataError(
                f"channel {channel}: {path} looks like an augmented manifest, which cannot be read; "
                "use File or FastFile mode with an S3 prefix"
            )
    raise DataError(f"channel {channel}: {path} has an unknown format; expected {ACCEPTED}")
