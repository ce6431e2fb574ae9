"""Exchange of examples between processes, so that all have everything in the order of the channel."""

import json
import logging

import numpy as np
from numpy.typing import NDArray

from byoc.distributed.process_group import ProcessGroup
from sentiment.data.channels import UNLABELED_CHANNEL, Source
from sentiment.data.corpus import Corpus
from sentiment.text.sequences import Examples, Sequences

logger = logging.getLogger(__name__)


def gather_examples(name: str, shard: Corpus, sequences: Sequences, process_group: ProcessGroup) -> Examples:
    """The reviews of all processes in the order of the channel; ``sequences`` are the encoded shard."""
    examples = Examples(sequences, shard.labels, shard.groups)
    if process_group.size > 1:
        order = _gather_order(shard, process_group)
        lengths, ids = process_group.concatenate(sequences.lengths), process_group.concatenate(sequences.ids)
        sequences = Sequences(ids, np.concatenate([[0], np.cumsum(lengths)])).take(order)
        labels, groups = process_group.concatenate(shard.labels), process_group.concatenate(shard.groups)
        examples = Examples(sequences, labels[order], groups[order])
    count, tokens = len(examples.labels), len(examples.sequences.ids)
    if count or name != UNLABELED_CHANNEL:
        positive = "" if name == UNLABELED_CHANNEL else f"{(examples.labels == 1).sum()} of them positive, "
        logger.info("%s: %d reviews, %s%d tokens after truncation", name, count, positive, tokens)
    return examples


def gather_sources(shard: Corpus, process_group: ProcessGroup) -> list[Source]:
    """The sources of all processes, in the order of the channel."""
    order = _gather_order(shard, process_group)
    contents = process_group.gather_bytes(json.dumps(shard.sources).encode())
    sources = [Source(*entry) for content in contents for entry in json.loads(content)]
    return [sources[index] for index in order.tolist()]


def _gather_order(shard: Corpus, process_group: ProcessGroup) -> NDArray[np.int64]:
    return np.argsort(process_group.concatenate(shard.positions), kind="stable")
