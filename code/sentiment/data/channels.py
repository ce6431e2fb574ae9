"""Names of channels and readers of their reviews."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from byoc.errors import DataError
from sentiment.data import acl_imdb
from sentiment.data.formats import Record, read_json_lines, read_table, read_text

logger = logging.getLogger(__name__)

# SageMaker's own-container examples use the first name, its SDK the second.
TRAINING_CHANNELS = ("training", "train")
UNLABELED_CHANNEL = "unlabeled"
PRETRAINED_CHANNEL = "pretrained"
_FURTHER_CHANNELS = ("validation", "test", UNLABELED_CHANNEL, PRETRAINED_CHANNEL)

_FORMATS = ".csv, .tsv or .jsonl, the last three plain or gzipped"
ACCEPTED = f"the aclImdb layout (pos/ and neg/), its archive (.tar.gz), {_FORMATS}"
ACCEPTED_UNLABELED = (
    f"the aclImdb layout (unsup/), its archive (.tar.gz), .txt files of a review each, {_FORMATS}"
)


class Source(NamedTuple):
    """Origin of a review: the file and the line where it ends, or 0 for a file of one review."""

    file: str
    line: int


class Review(NamedTuple):
    """One review."""

    text: str  # raw, HTML included
    label: int  # 1 for positive, 0 for negative, ``NO_LABEL`` in the channel ``unlabeled``
    source: Source
    group: str | None = None  # id of the movie, None if unknown; reviews of one movie form a group


class _Selection(NamedTuple):
    """Part of an official layout that a channel reads: one half and some of its folders."""

    channel: str
    half: str
    folders: tuple[str, ...]


def is_pretraining(channels: Mapping[str, Path]) -> bool:
    """Whether the job makes word embeddings only: a second channel may be a misspelled training channel."""
    return channels.keys() == {UNLABELED_CHANNEL}


def training_channel(channels: Mapping[str, Path]) -> str:
    """Find the name of the channel to train on.

    Raises:
        DataError: there is none, or there are two.
    """
    names = [name for name in TRAINING_CHANNELS if name in channels]
    if len(names) != 1:
        present = ", ".join(channels) or "none"
        raise DataError(f"expected one channel called training (or train); the channels are: {present}")
    for name in channels.keys() - {*names, *_FURTHER_CHANNELS}:
        known = ", ".join(("training", *_FURTHER_CHANNELS))
        logger.warning("channel %s is ignored; known channels: %s", name, known)
    return names[0]


def read_channel(channel: str, folder: Path, may_be_empty: bool = False) -> Iterator[Review]:
    """Read the reviews of a channel, always in the same order.

    In an official layout ``test`` reads only ``test/`` and every other channel only ``train/``; ``unlabeled``
    reads only ``unsup/`` and every other channel only ``pos/`` and ``neg/``. Skipped folders are logged.
    ``may_be_empty`` allows for a channel whose files all went to other hosts.

    Raises:
        DataError: the channel is empty, or a file or line in it is invalid; names it.
    """
    if may_be_empty and not folder.is_dir():
        return
    folders = (acl_imdb.UNSUP_DIR,) if channel == UNLABELED_CHANNEL else acl_imdb.SENTIMENTS
    selection = _Selection(channel, "test" if channel == "test" else "train", folders)
    is_empty = True
    for review in _read_folder(selection, folder, is_root=True):
        is_empty = False
        yield review
    if is_empty and not may_be_empty:
        noun, accepted = (
            ("reviews", ACCEPTED_UNLABELED) if channel == UNLABELED_CHANNEL else ("labeled reviews", ACCEPTED)
        )
        raise DataError(f"channel {channel}: no {noun} in {folder}; expected {accepted}")


def _read_folder(selection: _Selection, folder: Path, is_root: bool = False) -> Iterator[Review]:
    entries = sorted(folder.iterdir())
    if any(entry.is_dir() and entry.name in selection.folders for entry in entries):
        if not is_root and folder.name in acl_imdb.HALVES and folder.name != selection.half:
            logger.info("channel %s: skipping %s, not in %s/", selection.channel, folder, selection.half)
            return
        for file in acl_imdb.read_half(folder, selection.folders):
            yield Review(file.text, file.label, Source(file.name, 0), file.group)
    for entry in entries:
        if entry.name.startswith((".", "_")) or entry.name in selection.folders:
            continue
        if entry.is_dir() and entry.name in acl_imdb.FOLDERS:
            reason = "no labels" if entry.name == acl_imdb.UNSUP_DIR else "not unsup/"
            logger.info("channel %s: skipping %s, %s", selection.channel, entry, reason)
        elif entry.is_dir():
            yield from _read_folder(selection, entry)
        elif not acl_imdb.is_extra(entry.name):
            yield from _read_file(selection, entry)


def _read_file(selection: _Selection, path: Path) -> Iterator[Review]:
    if acl_imdb.is_archive(path):
        folders = " and ".join(f"{selection.half}/{name}/" for name in selection.folders)
        logger.info("channel %s: reading only %s of %s", selection.channel, folders, path)
        for file in acl_imdb.read_archive(path, selection.half, selection.folders):
            yield Review(file.text, file.label, Source(file.name, 0), file.group)
        return
    name = str(path)
    for line, text, label in _read_records(selection.channel, path):
        yield Review(text, label, Source(name, line))


def _read_records(channel: str, path: Path) -> Iterator[Record]:
    labeled = channel != UNLABELED_CHANNEL
    match path.name.removesuffix(".gz").rpartition(".")[2].lower():
        case "csv":
            return read_table(path, ",", labeled)
        case "tsv":
            return read_table(path, "\t", labeled)
        case "jsonl":
            return read_json_lines(path, labeled)
        case "txt" if not labeled:
            return read_text(path)
        case "manifest":
            raise DataError(
                f"channel {channel}: {path} looks like an augmented manifest, which is not supported; "
                "use File or FastFile mode with an S3 prefix"
            )
    accepted = ACCEPTED if labeled else ACCEPTED_UNLABELED
    raise DataError(f"channel {channel}: {path} has an unknown format; expected {accepted}")


def check(folder: Path, channel: str) -> str:
    """Read a channel as a training job would; returns a summary in one line.

    Raises:
        DataError: the channel is empty, or a file or line in it is invalid; names it.
    """
    labels = [review.label for review in read_channel(channel, folder)]
    if channel == UNLABELED_CHANNEL:
        return f"{len(labels)} reviews without labels"
    return f"{len(labels)} reviews, {sum(labels)} of them positive"


def upload_files(folder: Path, channel: str) -> Iterator[Path]:
    """List the files of a channel that a training job would read."""
    ignored = acl_imdb.SENTIMENTS if channel == UNLABELED_CHANNEL else (acl_imdb.UNSUP_DIR,)
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or (path.is_dir() and path.name in ignored):
            continue
        if path.is_dir():
            yield from upload_files(path, channel)
        else:
            yield path
