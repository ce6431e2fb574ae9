"""Batches on their way to the device."""

import numpy as np
import torch

from sentiment.batches import Examples, Sequences
from sentiment.feed import Feed

EXAMPLES = Examples(Sequences.of([[2, 4], [3], [2, 5, 6]]), np.array([1, 0, 1], np.int8))
BATCHES = [np.array([0, 1]), np.array([2])]


def test_batches_come_in_order_with_their_labels() -> None:
    first, second = Feed(EXAMPLES, BATCHES, torch.device("cpu"))
    assert first.ids.tolist() == [[2, 4], [3, 0]]
    assert first.lengths.tolist() == [2, 1]
    assert first.labels.tolist() == [1.0, 0.0]
    assert second.ids.tolist() == [[2, 5, 6]]


def test_next_can_be_prepared_any_number_of_times() -> None:
    feed = Feed(EXAMPLES, BATCHES, torch.device("cpu"))
    seen = []
    for batch in feed:
        feed.prepare_next()
        feed.prepare_next()
        seen.append(len(batch.labels))
    assert seen == [2, 1]


def test_nothing_comes_of_nothing() -> None:
    assert list(Feed(EXAMPLES, [], torch.device("cpu"))) == []
