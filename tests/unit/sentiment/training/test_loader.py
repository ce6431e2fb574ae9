"""Training batches on their way to the device."""

import numpy as np
import pytest
import torch

from sentiment.text.sequences import Examples, Sequences
from sentiment.training.loader import Prefetcher

EXAMPLES = Examples(Sequences.from_lists([[2, 4], [3], [2, 5, 6]]), np.array([1, 0, 1], np.int8))
BATCHES = [np.array([0, 1]), np.array([2])]


def test_batches_keep_order_and_labels() -> None:
    first, second = Prefetcher(EXAMPLES, BATCHES, torch.device("cpu"))
    assert first.ids.tolist() == [[2, 4], [3, 0]]
    assert first.lengths.tolist() == [2, 1]
    assert first.labels.tolist() == [1.0, 0.0]
    assert second.ids.tolist() == [[2, 5, 6]]
    assert second.labels.tolist() == [1.0]


def test_prefetch_can_be_repeated() -> None:
    prefetcher = Prefetcher(EXAMPLES, BATCHES, torch.device("cpu"))
    seen = []
    for batch in prefetcher:
        prefetcher.prefetch()
        prefetcher.prefetch()
        seen.append(len(batch.labels))
    assert seen == [2, 1]


def test_no_indices_give_no_batch() -> None:
    assert list(Prefetcher(EXAMPLES, [], torch.device("cpu"))) == []


@pytest.mark.parametrize(("most", "rows"), [(6, [3]), (5, [2, 1]), (1, [1, 1, 1])])
def test_micro_batches_respect_token_limit(most: int, rows: list[int]) -> None:
    (batch,) = Prefetcher(EXAMPLES, [np.array([0, 1, 0])], torch.device("cpu"))
    micro_batches = batch.split(most)
    assert [len(micro_batch.labels) for micro_batch in micro_batches] == rows
    assert torch.equal(torch.cat([micro_batch.ids for micro_batch in micro_batches]), batch.ids)


def test_empty_batch_has_one_review() -> None:
    (batch,) = Prefetcher(EXAMPLES, [np.empty(0, np.int64)], torch.device("cpu"))
    assert batch.lengths.tolist() == [2]
