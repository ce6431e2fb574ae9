"""The channels of a job: which they are, and what of them each process reads."""

import logging
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import NamedTuple

from byoc.distributed.process_group import ProcessGroup
from byoc.errors import DataError
from sentiment.data import corpus
from sentiment.data.corpus import Corpus, Share, Tokenizer, WordTable
from sentiment.data.reviews import UNLABELED, Review, read_channel
from sentiment.embeddings.store import PRETRAINED
from sentiment.hyperparameters import Hyperparameters

logger = logging.getLogger(__name__)

# The first name is SageMaker's usual one in its own-container examples, the second its SDK's.
TRAINING_CHANNELS = ("training", "train")
OTHER_CHANNELS = ("validation", "test", UNLABELED, PRETRAINED)


def are_to_pretrain(channels: Mapping[str, Path]) -> bool:
    """Whether there is nothing but reviews to make word vectors of.

    Anything else may be a training channel whose name is mistyped.
    """
    return channels.keys() == {UNLABELED}


def training_channel(channels: Mapping[str, Path]) -> str:
    """The name of the channel to train on.

    Raises:
        DataError: there is none, or there are two.
    """
    found = [name for name in TRAINING_CHANNELS if name in channels]
    if len(found) != 1:
        given = ", ".join(channels) or "none"
        raise DataError(f"expected one channel called training (or train); the channels are: {given}")
    for name in channels.keys() - {*found, *OTHER_CHANNELS}:
        known = ", ".join(("training", *OTHER_CHANNELS))
        logger.warning("channel %s is not used; known are: %s", name, known)
    return found[0]


class Reader(NamedTuple):
    """How a channel is read.

    Attributes:
        channels: folders, by name.
        tokenize: a text to words.
        table: takes up the words.
        sharded: the channels of which every host has other files.
        process_group: the processes of the job, each of which reads its share.
    """

    channels: Mapping[str, Path]
    tokenize: Tokenizer
    table: WordTable
    sharded: Set[str]
    process_group: ProcessGroup

    def _reviews(self, channel: str) -> Iterator[Review]:
        return read_channel(channel, self.channels[channel], channel in self.sharded)

    def _share(self, channel: str) -> Share:
        """What of a channel this process reads, and where that is among what all read."""
        if channel not in self.sharded:
            return Share(self.process_group.rank, self.process_group.size)
        # No host has so many reviews that its positions would reach the next one's.
        return Share(
            self.process_group.local_rank, self.process_group.local_size, self.process_group.host << 40
        )

    def read(self, channel: str) -> Corpus:
        """What of a channel this process reads: nothing of one that the job does not have."""
        if channel not in self.channels:
            return corpus.read((), list, self.table)
        return corpus.read(self._reviews(channel), self.tokenize, self.table, self._share(channel))

    def read_all(
        self, channel: str, hyperparameters: Hyperparameters
    ) -> tuple[Corpus, Corpus, dict[str, Corpus]]:
        """What this process reads: of the training part, of what has no labels, and of each part held out.

        Args:
            channel: the one to train on.
            hyperparameters: how much of it is held out if there is no channel ``validation``.
        """
        if "validation" in self.channels:
            training, validation = self.read(channel), self.read("validation")
        else:
            fraction, seed = hyperparameters.validation_fraction, hyperparameters.seed
            training, validation = corpus.read_and_split(
                self._reviews(channel), self.tokenize, self.table, fraction, seed, self._share(channel)
            )
        held_out = {"validation": validation}
        if "test" in self.channels:
            held_out["test"] = self.read("test")
        return training, self.read(UNLABELED), held_out
