"""Channels of a job: their names, the splits in their files, and readers of their reviews."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from byoc.errors import DataError
from sentiment.data import acl_imdb
from sentiment.data.archives import File, list_files, walk
from sentiment.data.columns import NO_LABEL, SPLITS, Labels
from sentiment.data.formats import ACCEPTED, ACCEPTED_UNLABELED, FileReport, Record, RecordReader, read_text
from sentiment.hyperparameters import Hyperparameters
from sentiment.text.dropped_letters import LetterCounter

logger = logging.getLogger(__name__)

# SageMaker's own-container examples use the first name, its SDK the second.
TRAINING_CHANNELS = ("training", "train")
UNLABELED_CHANNEL = "unlabeled"
PRETRAINED_CHANNEL = "pretrained"
ALIASES = {name: split for name, split in SPLITS.items() if split == "validation" != name}
_FURTHER_CHANNELS = ("validation", "test", UNLABELED_CHANNEL, PRETRAINED_CHANNEL)

# Words in the names of files and folders of the channel training, set off by anything but letters.
_SPLIT_WORD = re.compile(rf"(?<![^\W\d_])({'|'.join(SPLITS)})(?![^\W\d_])")
_UNSUP_WORD = re.compile(r"(?<![^\W\d_])unsup(?:ervised)?(?![^\W\d_])")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MAX_REPORTED_FILES = 1_000  # with more, each folder is reported instead


class Source(NamedTuple):
    """Origin of a review: the file and the line where it begins, or 0 for a file of one review."""

    file: str
    line: int


class Review(NamedTuple):
    """One review."""

    text: str  # raw, HTML included
    label: int  # 1 for positive, 0 for negative, ``NO_LABEL`` in the channel ``unlabeled``
    source: Source
    group: str | None = None  # id of the movie, None if unknown; reviews of one movie form a group


def is_pretraining(channels: Mapping[str, Path]) -> bool:
    """Whether the job only pretrains: a second channel may be a misspelled training channel."""
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
    for name in channels.keys() - {*names, *ALIASES, *_FURTHER_CHANNELS}:
        known = ", ".join(("training", *_FURTHER_CHANNELS))
        logger.warning("channel %s is ignored; known channels: %s", name, known)
    return names[0]


class _Role(NamedTuple):
    """Use of a file."""

    split: str
    label: int | None = None  # of the folder, for a file of one review
    label_dir: str = ""  # its name, with a slash
    movie: str | None = None


class ChannelReader:
    """Reads the reviews of one channel, by split, always in the same order.

    In the official aclImdb layout, ``test`` reads only ``test/`` and every other channel only ``train/``;
    ``unlabeled`` reads only ``unsup/`` and every other channel only ``pos/`` and ``neg/``. In the training
    channel, names of files and folders assign them to a split, unless ``split=ignore``.
    """

    def __init__(self, channel: str, folder: Path, hyperparameters: Hyperparameters) -> None:
        self.channel = channel
        self.split = "training" if channel in TRAINING_CHANNELS else ALIASES.get(channel, channel)
        self.folder = folder
        self.reports: list[dict[str, Any]] = []  # how each file was read so far, JSON-serializable
        self._hyperparameters = hyperparameters
        self._labeled = self.split != UNLABELED_CHANNEL
        self._roles = self._assign_roles() if folder.exists() else {}

    @property
    def splits(self) -> list[str]:
        """Splits with files, and the channel's own."""
        return list(dict.fromkeys([self.split, *(role.split for role in self._roles.values())]))

    def _assign_roles(self) -> dict[PurePosixPath, _Role]:
        movies: dict[PurePosixPath, list[str]] = {}
        paths, skipped = [], {}
        for file in walk(self.folder):
            if acl_imdb.is_extra(file.path.name):
                if folder := acl_imdb.reviews_of_urls(file.path):
                    movies[folder] = acl_imdb.parse_urls(read_text(file))
            elif file.size:
                paths.append(file.path)
            else:
                skipped[file.path] = "empty file"
        roles = {}
        for path in paths:
            folder = acl_imdb.review_dir(path)
            if folder and (ignored := self._reason_to_skip(folder)):
                skipped[ignored[0]] = ignored[1]
            elif folder is None and self._labeled and _UNSUP_WORD.search(_words(path.name)):
                skipped[path] = "no labels"
            elif folder is None:
                roles[path] = _Role(self._name_split(path))
            else:
                split = self.split if acl_imdb.half(folder) else self._name_split(path)
                movie = acl_imdb.find_movie(path, movies.get(folder, []))
                label = acl_imdb.REVIEW_DIRS[folder.name.lower()]
                roles[path] = _Role(split, label, f"{folder.name}/", movie)
        for path, reason in skipped.items():
            logger.info("channel %s: skipping %s, %s", self.channel, self.folder / path, reason)
        return roles

    def _reason_to_skip(self, folder: PurePosixPath) -> tuple[PurePosixPath, str] | None:
        """The folder that this channel does not read, and why."""
        if self._labeled == (folder.name.lower() == acl_imdb.UNSUP_DIR):
            return folder, "no labels" if self._labeled else f"not {acl_imdb.UNSUP_DIR}/"
        half = "test" if self.split == "test" else "train"
        if acl_imdb.half(folder) not in (None, half):
            return folder.parent, f"not in {half}/"
        return None

    def _name_split(self, path: PurePosixPath) -> str:
        """The split that the names of file and folders mean.

        Raises:
            DataError: they mean several.
        """
        if self.split != "training" or self._hyperparameters.split == "ignore":
            return self.split
        splits = {SPLITS[word] for part in path.parts for word in _SPLIT_WORD.findall(_words(part))}
        if len(splits) > 1:
            raise DataError(
                f"channel {self.channel}: the name {path} means {' and '.join(sorted(splits))}; "
                "rename it, or set split=ignore to train on every file"
            )
        return splits.pop() if splits else "training"

    def read(self, split: str, may_be_empty: bool = False) -> Iterator[Review]:
        """Read the reviews of a split, and log a line per file.

        ``may_be_empty`` allows for a channel whose files all went to other hosts.

        Raises:
            DataError: there are no reviews, a file or line is invalid, labels are unknown, or the tokenizer
                would drop too many letters; names the place.
        """
        labels, letters = Labels(self._hyperparameters.label_map), LetterCounter()
        reports: dict[str, FileReport] = {}
        is_empty, is_detailed = True, len(self._roles) <= _MAX_REPORTED_FILES
        for file in walk(self.folder) if any(role.split == split for role in self._roles.values()) else ():
            role = self._roles.get(file.path)
            if role is None or role.split != split:
                continue
            name = str(file.path if is_detailed else file.path.parent)
            report = reports.setdefault(name, FileReport(name, split))
            for review in self._read_file(file, role, report, labels):
                letters.add(review.text)
                is_empty = False
                yield review
            if is_detailed:
                logger.info("channel %s: %s", self.channel, report.describe(labels.values))
        for report in reports.values() if not is_detailed else ():
            logger.info("channel %s: %s", self.channel, report.describe(labels.values))
        self.reports += [report.to_json(labels.values) for report in reports.values()]
        labels.check(self.channel, sum((report.labels for report in reports.values()), Counter()))
        if is_empty and not may_be_empty:
            raise DataError(self._explain_empty(split))
        if self._hyperparameters.tokenizer == "ascii":
            letters.check(f"channel {self.channel}", self._hyperparameters.max_dropped_letters)

    def _read_file(self, file: File, role: _Role, report: FileReport, labels: Labels) -> Iterator[Review]:
        if role.label is None:
            records = RecordReader(file, self._hyperparameters, self._labeled, report).read()
        else:
            records = iter([_read_review(file, role.label_dir, report)])
            report.label = "folder" if self._labeled else ""
            labels.values[role.label_dir] = role.label
        name, labeled, values, label = file.name, self._labeled, labels.values, NO_LABEL
        for line, text, label_text in records:
            report.rows += 1
            if labeled:
                report.labels[label_text] += 1
                try:
                    meaning = values[label_text]
                except KeyError:
                    meaning = labels.parse(label_text, f"{name}, line {line}")
                if meaning is None or meaning == NO_LABEL:  # unknown labels fail at the end
                    report.skipped["left out by label_map"] += meaning is None
                    continue
                label = meaning
            if not text or text.isspace():
                place = f"{name}, line {line}" if line else name
                raise DataError(f"{place}: the text is empty, expected a review")
            if "\0" in text:
                raise DataError(f"{name}: not UTF-8, for it has NUL characters; save the file as UTF-8")
            yield Review(text, label, Source(name, line), role.movie)

    def _explain_empty(self, split: str) -> str:
        noun, accepted = ("labeled reviews", ACCEPTED) if self._labeled else ("reviews", ACCEPTED_UNLABELED)
        message = f"channel {self.channel}: no {noun} in {self.folder}; expected {accepted}"
        if split == "training" and self._roles:
            path, role = next(iter(self._roles.items()))
            if role.split != split:
                message += f"\n{path} is for {role.split}; set split=ignore to train on every file"
        return message


def _words(name: str) -> str:
    """The name in lower case, with the words of camel case apart."""
    return _CAMEL_CASE.sub("-", name).lower()


def _read_review(file: File, label_dir: str, report: FileReport) -> Record:
    """Read a file of one review; its folder is the label."""
    if file.path.suffix.lower() != ".txt":
        raise DataError(f"{file.name}: unknown format, expected .txt files in {label_dir}")
    report.format, report.text = "a review per file", "whole file"
    return 0, read_text(file), label_dir


class JobReader:
    """Reads the reviews of a job, by split: of channels, or of files in the training channel.

    Raises:
        DataError: a split comes from two channels, or a file cannot be listed; names it.
    """

    def __init__(
        self, channels: Mapping[str, Path], hyperparameters: Hyperparameters, sharded: Set[str] = frozenset()
    ) -> None:
        known = {*TRAINING_CHANNELS, *ALIASES, *_FURTHER_CHANNELS} - {PRETRAINED_CHANNEL}
        self._sharded = sharded
        self._readers: dict[str, ChannelReader] = {}
        for name in sorted(channels.keys() & known):
            reader = ChannelReader(name, channels[name], hyperparameters)
            for split in reader.splits:
                if split in self._readers:
                    raise DataError(
                        f"channels {self._readers[split].channel} and {name} both have files for {split}; "
                        "remove one, or set split=ignore to train on every file of the training channel"
                    )
                self._readers[split] = reader

    def __contains__(self, split: str) -> bool:
        return split in self._readers

    def is_sharded(self, split: str) -> bool:
        """Whether each host has other files of the split."""
        return split in self and self._readers[split].channel in self._sharded

    def read(self, split: str) -> Iterator[Review]:
        """Read a split; an absent one is empty. See ``ChannelReader.read``."""
        if split not in self:
            return iter(())
        return self._readers[split].read(split, self.is_sharded(split))

    @property
    def reports(self) -> list[dict[str, Any]]:
        """How each file was read so far, JSON-serializable."""
        return [report for reader in dict.fromkeys(self._readers.values()) for report in reader.reports]


def read_channel(channel: str, folder: Path) -> Iterator[Review]:
    """Read the reviews of a channel, without those of another split. See ``ChannelReader.read``."""
    reader = ChannelReader(channel, folder, Hyperparameters())
    return reader.read(reader.split)


def check(folder: Path, channel: str, hyperparameters: Hyperparameters | None = None) -> str:
    """Read a folder or a file as a training job would read the channel; returns a summary in one line.

    Raises:
        DataError: the channel is empty, or a file or line in it is invalid; names it.
    """
    reader = ChannelReader(channel, folder, hyperparameters or Hyperparameters())
    summaries = []
    for split in reader.splits:
        labels = [review.label for review in reader.read(split)]
        detail = " without labels" if split == UNLABELED_CHANNEL else f", {sum(labels)} of them positive"
        summaries.append(f"{split}: {len(labels)} reviews{detail}")
    return "; ".join(summaries)


def upload_files(folder: Path, channel: str) -> Iterator[Path]:
    """List the files of a channel that a training job would read."""
    ignored = acl_imdb.LABEL_DIRS if channel == UNLABELED_CHANNEL else (acl_imdb.UNSUP_DIR,)
    for path in list_files(folder):
        if not any(part.lower() in ignored for part in path.relative_to(folder).parts[:-1]):
            yield path
