"""What all processes have read of a part, in the order of the channel."""

import json
import logging

import numpy as np
from numpy.typing import NDArray

from byoc.distributed.process_group import ProcessGroup
from sentiment.data import corpus
from sentiment.data.corpus import Corpus, WordTable
from sentiment.data.reviews import UNLABELED
from sentiment.data.sources import Source, Sources
from sentiment.settings import TextSettings
from sentiment.text.sequences import Examples, Sequences
from sentiment.text.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


def examples_of(
    name: str,
    part: Corpus,
    table: WordTable,
    vocabulary: Vocabulary,
    text: TextSettings,
    process_group: ProcessGroup,
) -> Examples:
    """Everybody's reviews of one part, in the order of the channel."""
    sequences = corpus.encode(part, table, vocabulary, text.max_length, text.truncate)
    labels, groups = part.labels, part.movies
    if process_group.size > 1:
        lengths, ids = process_group.concatenate(sequences.lengths), process_group.concatenate(sequences.ids)
        order = _order(part, process_group)
        sequences = Sequences(ids, np.concatenate([[0], np.cumsum(lengths)])).take(order)
        labels, groups = process_group.concatenate(labels)[order], process_group.concatenate(groups)[order]
    if name != UNLABELED:
        found = f"{len(labels)} reviews, {(labels == 1).sum()} of them positive"
        logger.info("%s: %s, %d words that count", name, found, len(sequences.ids))
    elif len(labels):
        logger.info("%s: %d reviews, %d words that count", name, len(labels), len(sequences.ids))
    return Examples(sequences, labels, groups)


def sources_of(part: Corpus, process_group: ProcessGroup) -> Sources:
    """Everybody's sources of one part, in the order of the channel; complete on rank 0 only."""
    if process_group.size == 1:
        return part.sources
    order = _order(part, process_group)
    mine = json.dumps([part.sources[i] for i in range(len(part))]).encode()
    entries = [entry for content in process_group.gather_bytes(mine) for entry in json.loads(content)]
    sources = Sources()
    for index in order[: len(entries)].tolist():
        sources.append(Source(*entries[index]))
    return sources


def _order(part: Corpus, process_group: ProcessGroup) -> NDArray[np.int64]:
    return np.argsort(process_group.concatenate(part.positions), kind="stable")
