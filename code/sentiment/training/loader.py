"""Batches on their way to the device, one ahead of the step that takes them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentiment.text.sequences import Batch, pad
from sentiment.training.targets import Targets


class Prepared(NamedTuple):
    """A batch on the device.

    Attributes:
        ids: [batch, time] int64, padded at the end.
        lengths: [batch] int64.
        targets: [batch] float32, probabilities of "positive".
        ngram_scores: [batch, time] float32, what each word tells by itself; [batch, 0] if there is none.
    """

    ids: Tensor
    lengths: Tensor
    targets: Tensor
    ngram_scores: Tensor


class Feed:
    """Iterates over batches; ``prepare_next`` lets a GPU's next one be made and copied while it computes.

    Args:
        targets: where they come from.
        batches: their indices, one array a batch. An empty one becomes a batch of one review, whatever it
            is: a network takes no less, and it is for the caller to give it no weight.
        device: where they go.
    """

    def __init__(self, targets: Targets, batches: list[NDArray[np.int64]], device: torch.device) -> None:
        self._targets = targets
        self._device = device
        self._coming = iter(batches)
        self._next: Prepared | None = None
        # A stream of its own, for in the one that computes a copy would wait for its turn.
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[Prepared]:
        """The batches, in order."""
        self.prepare_next()
        while self._next is not None:
            batch, self._next = self._next, None
            if self._copies is not None:
                computing = torch.cuda.current_stream(self._device)
                computing.wait_stream(self._copies)
                for tensor in batch:
                    tensor.record_stream(computing)
            yield batch
            self.prepare_next()

    def prepare_next(self) -> None:
        """Make the next batch, if that is not done yet, and start its way to the device."""
        if self._next is not None or (indices := next(self._coming, None)) is None:
            return
        if len(indices) == 0:
            indices = np.zeros(1, np.int64)
        batch = pad(self._targets.sequences, indices)
        targets, ngram_scores = self._targets.probabilities[indices], self._ngram_scores(batch)
        tensors = Prepared(*map(torch.from_numpy, (batch.ids, batch.lengths, targets, ngram_scores)))
        if self._copies is not None:
            with torch.cuda.stream(self._copies):
                # Only from pinned memory a copy goes on by itself.
                tensors = Prepared(*(t.pin_memory().to(self._device, non_blocking=True) for t in tensors))
        self._next = tensors

    def _ngram_scores(self, batch: Batch) -> NDArray[np.float32]:
        ngram_scores = self._targets.ngram_scores
        if ngram_scores is None:
            return np.empty((len(batch.ids), 0), np.float32)
        return ngram_scores.scores[ngram_scores.fold[batch.indices][:, None], batch.ids]
