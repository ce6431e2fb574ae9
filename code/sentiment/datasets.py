"""From channels to what the training loop takes: vocabulary, training, validation and test examples."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sentiment import corpus
from sentiment.batches import Examples
from sentiment.corpus import Corpus, WordTable
from sentiment.errors import DataError
from sentiment.hyperparameters import Hyperparameters
from sentiment.reviews import read_channel
from sentiment.settings import TextSettings
from sentiment.sources import Sources
from sentiment.text import stop_words, words
from sentiment.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

# The first name is SageMaker's usual one in its own-container examples, the second its SDK's.
TRAINING_CHANNELS = ("training", "train")


@dataclass(frozen=True, slots=True)
class Datasets:
    """All that a training job reads.

    Attributes:
        text: how reviews became ids.
        vocabulary: the lookup table, made of the training part's words.
        training: what the network learns from.
        held_out: what it is measured on, ``validation`` always and ``test`` if there is such a channel.
        sources: where each held-out review comes from.
    """

    text: TextSettings
    vocabulary: Vocabulary
    training: Examples
    held_out: dict[str, Examples]
    sources: dict[str, Sources]


def load(channels: Mapping[str, Path], hyperparameters: Hyperparameters) -> Datasets:
    """Read all channels.

    Raises:
        DataError: a channel is missing, empty, of one class only or too small; or one of its files or
            lines cannot be used.
    """
    training_channel = _training_channel(channels)
    leave_out = stop_words(hyperparameters.stop_words)
    tokenize = partial(words, leave_out=leave_out)
    table = WordTable()
    reviews = read_channel(training_channel, channels[training_channel])
    held_out = {}
    if "validation" in channels:
        training = corpus.read(reviews, tokenize, table)
        held_out["validation"] = corpus.read(
            read_channel("validation", channels["validation"]), tokenize, table
        )
    else:
        training, held_out["validation"] = corpus.read_and_split(
            reviews, tokenize, table, hyperparameters.validation_fraction, hyperparameters.seed
        )
    if "test" in channels:
        held_out["test"] = corpus.read(read_channel("test", channels["test"]), tokenize, table)
    _check(training_channel, training, held_out["validation"], hyperparameters)

    vocabulary = Vocabulary.most_frequent(table.words, table.count(training), hyperparameters.vocab_size)
    logger.info("vocabulary: %d ids, for %d distinct words in all", len(vocabulary), len(table.words))
    text = TextSettings(sorted(leave_out), hyperparameters.max_length, hyperparameters.truncate)
    to_examples = partial(_examples, table=table, vocabulary=vocabulary, text=text)
    return Datasets(
        text,
        vocabulary,
        to_examples("training", training),
        {name: to_examples(name, part) for name, part in held_out.items()},
        {name: part.sources for name, part in held_out.items()},
    )


def _training_channel(channels: Mapping[str, Path]) -> str:
    found = [name for name in TRAINING_CHANNELS if name in channels]
    if len(found) != 1:
        given = ", ".join(channels) or "none"
        raise DataError(f"expected one channel called training (or train); the channels are: {given}")
    for name in channels.keys() - {*found, "validation", "test"}:
        logger.warning("channel %s is not used; known are training, validation and test", name)
    return found[0]


def _check(channel: str, training: Corpus, validation: Corpus, hyperparameters: Hyperparameters) -> None:
    if len(training) < hyperparameters.batch_size:
        raise DataError(
            f"channel {channel}: {len(training)} reviews to train on are fewer than a batch of "
            f"{hyperparameters.batch_size}; give more reviews, or a smaller batch_size"
        )
    classes = np.unique(training.labels)
    if len(classes) < 2:
        only = "positive" if classes[0] else "negative"
        raise DataError(f"channel {channel}: all reviews are {only}; expected both classes")
    if len(validation) == 0:
        raise DataError(
            f"channel {channel}: no review was held out for validation; give more reviews, a larger "
            "validation_fraction, or a validation channel"
        )


def _examples(
    name: str, part: Corpus, table: WordTable, vocabulary: Vocabulary, text: TextSettings
) -> Examples:
    sequences = corpus.encode(part, table, vocabulary, text.max_length, text.truncate)
    logger.info(
        "%s: %d reviews, %d of them positive, %d words that count",
        name,
        len(part),
        int(part.labels.sum()),
        len(sequences.ids),
    )
    return Examples(sequences, part.labels)
