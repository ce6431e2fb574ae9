"""From channels to what the training loop takes: vocabulary, training, validation and test examples."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import DataError
from byoc.signals import StopFlag
from sentiment.data.channels import Reader, training_channel
from sentiment.data.corpus import Corpus, WordTable
from sentiment.data.gather import examples_of, sources_of
from sentiment.data.reviews import UNLABELED
from sentiment.data.sources import Sources
from sentiment.embeddings import store as pretrained
from sentiment.embeddings.store import PRETRAINED, WordVectors
from sentiment.hyperparameters import Hyperparameters
from sentiment.settings import TextSettings
from sentiment.text.ngrams import NgramInserter
from sentiment.text.sequences import Examples, Sequences
from sentiment.text.tokenizer import select_stop_words, tokenize
from sentiment.text.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Datasets:
    """All that a training job reads.

    Attributes:
        text: how reviews became ids.
        vocabulary: the lookup table, made of the words of the training part and of the unlabelled reviews.
        training: what the network learns from.
        unlabeled: what else there is to read, without labels; none of it is of a movie that is held out.
        held_out: what it is measured on, ``validation`` always and ``test`` if there is such a channel.
        word_counts: how many words of each held-out review count.
        sources: where each held-out review comes from.
        pretrained: word vectors to begin with, if the job was given any.
    """

    text: TextSettings
    vocabulary: Vocabulary
    training: Examples
    unlabeled: Examples
    held_out: dict[str, Examples]
    word_counts: dict[str, NDArray[np.int64]]
    sources: dict[str, Sources]
    pretrained: WordVectors | None = None

    def insert_ngrams(self, ngrams: Sequence[str]) -> "Datasets":
        """Add n-gram tokens to the vocabulary and to all reviews, which must not have any yet."""
        vocabulary = Vocabulary(self.vocabulary.words, ngrams)
        insert = NgramInserter(vocabulary).insert
        return replace(
            self,
            vocabulary=vocabulary,
            training=self.training._replace(sequences=insert(self.training.sequences)),
            unlabeled=self.unlabeled._replace(sequences=insert(self.unlabeled.sequences)),
            held_out={
                name: part._replace(sequences=insert(part.sequences)) for name, part in self.held_out.items()
            },
        )

    def fingerprint(self) -> dict[str, str]:
        """What of the data decides which weights come out, by name: a count, and a hash of the content."""
        words = hashlib.sha256("\n".join(self.vocabulary.words).encode())
        found = {
            "training data": _fingerprint(self.training),
            "unlabeled data": _fingerprint(self.unlabeled),
            "validation data": _fingerprint(self.held_out["validation"]),
            "vocabulary": f"of {len(self.vocabulary)} ids, SHA-256 {words.hexdigest()[:16]}",
        }
        if self.pretrained is not None:
            found["pretrained vectors"] = self.pretrained.fingerprint()
        return found


def _fingerprint(examples: Examples) -> str:
    digest = hashlib.sha256()
    for array in (examples.sequences.ids, examples.sequences.offsets, examples.labels):
        digest.update(array.tobytes())
    return f"of {len(examples.labels)} reviews, SHA-256 {digest.hexdigest()[:16]}"


def load(
    channels: Mapping[str, Path],
    hyperparameters: Hyperparameters,
    sharded: Set[str] = frozenset(),
    process_group: ProcessGroup = SINGLE_PROCESS,
    stop: StopFlag | None = None,
) -> Datasets:
    """Read all channels: each process its share, after which all have everything as ids.

    Args:
        channels: their folders, by name.
        hyperparameters: of the job.
        sharded: the channels of which every host has other files.
        process_group: the processes of the job.
        stop: ends the reading.

    Raises:
        DataError: a channel is missing, empty, of one class only or too small; or one of its files or
            lines cannot be used.
        Stopped: any of the processes was told to stop.
    """
    channel = training_channel(channels)
    vectors = None
    if PRETRAINED in channels:
        vectors = pretrained.load(channels[PRETRAINED], hyperparameters.embedding_dim)
    text = _text(hyperparameters)
    reader = _reader(channels, text, sharded, process_group)
    training, unlabeled, held_out = process_group.run_interruptible(
        stop or StopFlag(), lambda: reader.read_all(channel, hyperparameters)
    )
    if "validation" not in channels:
        held_out["validation"] = held_out["validation"].without(process_group.concatenate(training.digests))
    unlabeled = _apart(unlabeled, held_out.values(), process_group)
    vocabulary = _vocabulary(reader.table, [training, unlabeled], hyperparameters.vocab_size, process_group)
    to_examples = partial(
        examples_of, table=reader.table, vocabulary=vocabulary, text=text, process_group=process_group
    )
    examples = {name: to_examples(name, part) for name, part in held_out.items()}
    data = Datasets(
        text,
        vocabulary,
        to_examples("training", training),
        to_examples(UNLABELED, unlabeled),
        examples,
        {name: part.sequences.lengths for name, part in examples.items()},
        {name: sources_of(part, process_group) for name, part in held_out.items()},
        vectors,
    )
    _check(channel, data, hyperparameters)
    return data


def load_unlabeled(
    channels: Mapping[str, Path],
    hyperparameters: Hyperparameters,
    sharded: Set[str] = frozenset(),
    process_group: ProcessGroup = SINGLE_PROCESS,
    stop: StopFlag | None = None,
) -> tuple[Vocabulary, Sequences]:
    """The reviews without labels alone, and a lookup table of their words; see ``load``."""
    text = _text(hyperparameters)
    reader = _reader(channels, text, sharded, process_group)
    unlabeled = process_group.run_interruptible(stop or StopFlag(), lambda: reader.read(UNLABELED))
    vocabulary = _vocabulary(reader.table, [unlabeled], hyperparameters.vocab_size, process_group)
    return vocabulary, examples_of(
        UNLABELED, unlabeled, reader.table, vocabulary, text, process_group
    ).sequences


def _apart(unlabeled: Corpus, held_out: Iterable[Corpus], process_group: ProcessGroup) -> Corpus:
    """The reviews without labels that are of no text, and about no movie, that is held out."""
    for part in held_out:
        if part.tells_movies and not unlabeled.tells_movies and len(unlabeled):
            logger.warning(
                "channel %s does not tell its movies (urls_unsup.txt): what is held out is read about, too",
                UNLABELED,
            )
        unlabeled = unlabeled.without(process_group.concatenate(part.digests))
        unlabeled = unlabeled.without_movies(process_group.concatenate(part.movies))
    return unlabeled


def _text(hyperparameters: Hyperparameters) -> TextSettings:
    leave_out = sorted(select_stop_words(hyperparameters.stop_words))
    return TextSettings(leave_out, hyperparameters.max_length, hyperparameters.truncate)


def _reader(
    channels: Mapping[str, Path], text: TextSettings, sharded: Set[str], process_group: ProcessGroup
) -> Reader:
    tokenizer = partial(tokenize, stop_words=frozenset(text.stop_words))
    return Reader(channels, tokenizer, WordTable(), sharded, process_group)


def _vocabulary(
    table: WordTable, parts: Sequence[Corpus], vocab_size: int, process_group: ProcessGroup
) -> Vocabulary:
    """The most frequent words of everybody's reviews, of these parts."""
    distinct, counts = table.words, np.sum([table.count(part) for part in parts], axis=0)
    if process_group.size == 1:
        vocabulary = Vocabulary.from_counts(distinct, counts, vocab_size)
    else:
        total: Counter[str] = Counter()
        for found in process_group.gather_bytes(json.dumps([distinct, counts.tolist()]).encode()):
            total.update(dict(zip(*json.loads(found), strict=True)))
        distinct, counts = list(total), np.fromiter(total.values(), np.int64)
        vocabulary = Vocabulary.from_counts(distinct, counts, vocab_size)
        content = process_group.broadcast(json.dumps(vocabulary.words).encode())
        vocabulary = Vocabulary(json.loads(content or b"[]"))
    logger.info("vocabulary: %d ids, for %d distinct words in all", len(vocabulary), len(distinct))
    return vocabulary


def _check(channel: str, data: Datasets, hyperparameters: Hyperparameters) -> None:
    count = len(data.training.labels)
    if count < hyperparameters.batch_size:
        raise DataError(
            f"channel {channel}: {count} reviews to train on are fewer than a batch of "
            f"{hyperparameters.batch_size}; give more reviews, or a smaller batch_size"
        )
    classes = np.unique(data.training.labels)
    if len(classes) < 2:
        only = "positive" if classes[0] else "negative"
        raise DataError(f"channel {channel}: all reviews are {only}; expected both classes")
    if len(data.held_out["validation"].labels) == 0:
        raise DataError(
            f"channel {channel}: no review was held out for validation; give more reviews, a larger "
            "validation_fraction, or a validation channel"
        )
    if "test" in data.held_out and len(data.held_out["test"].labels) == 0:
        raise DataError("channel test: no labelled reviews on any host; give some, or leave the channel out")
