"""Reading the reviews of a channel, whatever its format."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from byoc.errors import DataError
from sentiment.data import acl_imdb
from sentiment.data.formats import Record, read_json_lines, read_table, read_text
from sentiment.data.sources import Source

logger = logging.getLogger(__name__)

UNLABELED = "unlabeled"  # the channel of reviews without labels

ACCEPTED = (
    "the aclImdb layout (pos/ and neg/), its archive (.tar.gz), .csv, .tsv or .jsonl, "
    "the last three plain or gzipped"
)
ACCEPTED_UNLABELED = (
    "the aclImdb layout (unsup/), its archive (.tar.gz), .txt files of a review each, .csv, .tsv or .jsonl, "
    "the last three plain or gzipped"
)


class Review(NamedTuple):
    """One review.

    Attributes:
        text: as it was written, HTML included.
        label: 1 for positive, 0 for negative, ``NO_LABEL`` in the channel ``unlabeled``.
        source: where it comes from.
        movie: what the review is about, None where the data does not tell.
    """

    text: str
    label: int
    source: Source
    movie: str | None = None


def read_channel(name: str, folder: Path, may_be_empty: bool = False) -> Iterator[Review]:
    """The reviews of one channel, one at a time, always in the same order.

    In an official layout the channel ``test`` reads only ``test/`` and every other channel only ``train/``;
    the channel ``unlabeled`` reads only ``unsup/`` and every other channel only ``pos/`` and ``neg/``. What
    is left out is logged.

    Args:
        name: of the channel.
        folder: its files.
        may_be_empty: the files may all have gone to other hosts.

    Raises:
        DataError: the channel is empty, or a file or line in it cannot be used; names it.
    """
    if may_be_empty and not folder.is_dir():
        return
    wanted = (acl_imdb.UNLABELLED,) if name == UNLABELED else acl_imdb.SENTIMENTS
    channel = _Channel(name, "test" if name == "test" else "train", wanted)
    count = 0
    for review in _read_folder(channel, folder, is_root=True):
        count += 1
        yield review
    if count == 0 and not may_be_empty:
        kind, accepted = ("", ACCEPTED_UNLABELED) if name == UNLABELED else ("labelled ", ACCEPTED)
        raise DataError(f"channel {name}: no {kind}reviews in {folder}; expected {accepted}")


class _Channel(NamedTuple):
    """What is read in a channel: the half of an official layout, and the folders in it."""

    name: str
    half: str
    wanted: tuple[str, ...]


def _read_folder(channel: _Channel, folder: Path, is_root: bool = False) -> Iterator[Review]:
    inner = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    if inner.keys() & set(channel.wanted):
        if not is_root and folder.name in acl_imdb.HALVES and folder.name != channel.half:
            logger.info("channel %s: %s is left out, only %s/ is read", channel.name, folder, channel.half)
            return
        for name, text, label, movie in acl_imdb.read_half(folder, channel.wanted):
            yield Review(text, label, Source(name, 0), movie)
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")) or entry.name in channel.wanted:
            continue
        if entry.is_dir() and entry.name in acl_imdb.FOLDERS:
            which = "it has no labels" if entry.name == acl_imdb.UNLABELLED else "it is not unsup/"
            logger.info("channel %s: %s is left out, %s", channel.name, entry, which)
        elif entry.is_dir():
            yield from _read_folder(channel, entry)
        elif not acl_imdb.is_extra(entry.name):
            yield from _read_file(channel, entry)


def _read_file(channel: _Channel, path: Path) -> Iterator[Review]:
    if acl_imdb.is_archive(path):
        folders = " and ".join(f"{channel.half}/{name}/" for name in channel.wanted)
        logger.info("channel %s: only %s of %s is read", channel.name, folders, path)
        for name, text, label, movie in acl_imdb.read_archive(path, channel.half, channel.wanted):
            yield Review(text, label, Source(name, 0), movie)
        return
    for line, text, label in _records(channel.name, path):
        yield Review(text, label, Source(str(path), line))


def _records(channel: str, path: Path) -> Iterator[Record]:
    labelled = channel != UNLABELED
    match path.name.removesuffix(".gz").rpartition(".")[2].lower():
        case "csv":
            return read_table(path, ",", labelled)
        case "tsv":
            return read_table(path, "\t", labelled)
        case "jsonl":
            return read_json_lines(path, labelled)
        case "txt" if not labelled:
            return read_text(path)
        case "manifest":
            raise DataError(
                f"channel {channel}: {path} looks like an augmented manifest, which cannot be read; "
                "use File or FastFile mode with an S3 prefix"
            )
    accepted = ACCEPTED if labelled else ACCEPTED_UNLABELED
    raise DataError(f"channel {channel}: {path} has an unknown format; expected {accepted}")


def check(folder: Path, channel: str) -> str:
    """Read a channel as a training job would; returns a summary in one line.

    Raises:
        DataError: the channel is empty, or a file or line in it is invalid; names it.
    """
    labels = [review.label for review in read_channel(channel, folder)]
    if channel == UNLABELED:
        return f"{len(labels)} reviews without labels"
    return f"{len(labels)} reviews, {sum(labels)} of them positive"


def upload_files(folder: Path, channel: str) -> Iterator[Path]:
    """The files of a channel that a training job would read."""
    ignored = acl_imdb.SENTIMENTS if channel == UNLABELED else (acl_imdb.UNLABELLED,)
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or (path.is_dir() and path.name in ignored):
            continue
        if path.is_dir():
            yield from upload_files(path, channel)
        else:
            yield path
