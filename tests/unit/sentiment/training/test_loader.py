"""Training batches on their way to the device."""

import numpy as np
import torch

from sentiment.ngram_model.scores import NgramScores
from sentiment.text.sequences import Sequences
from sentiment.training.loader import Prefetcher, Targets

TARGETS = Targets(Sequences.from_lists([[2, 4], [3], [2, 5, 6]]), np.array([1, 0, 0.5], np.float32))
BATCHES = [np.array([0, 1]), np.array([2])]


def test_batches_keep_order_and_targets() -> None:
    first, second = Prefetcher(TARGETS, BATCHES, torch.device("cpu"))
    assert first.ids.tolist() == [[2, 4], [3, 0]]
    assert first.lengths.tolist() == [2, 1]
    assert first.targets.tolist() == [1.0, 0.0]
    assert second.ids.tolist() == [[2, 5, 6]]
    assert second.targets.tolist() == [0.5]


def test_prefetch_can_be_repeated() -> None:
    prefetcher = Prefetcher(TARGETS, BATCHES, torch.device("cpu"))
    seen = []
    for batch in prefetcher:
        prefetcher.prefetch()
        prefetcher.prefetch()
        seen.append(len(batch.targets))
    assert seen == [2, 1]


def test_no_indices_give_no_batch() -> None:
    assert list(Prefetcher(TARGETS, [], torch.device("cpu"))) == []


def test_ngram_scores_come_from_own_fold() -> None:
    weights = np.arange(14, dtype=np.float32).reshape(2, 7)
    zero = np.zeros(1, np.float32)
    ngram_scores = NgramScores(weights, np.array([0, 1, 1]), zero, zero)
    first, second = Prefetcher(TARGETS._replace(ngram_scores=ngram_scores), BATCHES, torch.device("cpu"))
    assert first.ngram_scores.tolist() == [[2.0, 4.0], [10.0, 7.0]]
    assert second.ngram_scores.tolist() == [[9.0, 12.0, 13.0]]


def test_ngram_scores_may_be_absent() -> None:
    first, _ = Prefetcher(TARGETS, BATCHES, torch.device("cpu"))
    assert first.ngram_scores.shape == (2, 0)


def test_empty_batch_has_one_review() -> None:
    (batch,) = Prefetcher(TARGETS, [np.empty(0, np.int64)], torch.device("cpu"))
    assert batch.lengths.tolist() == [2]
