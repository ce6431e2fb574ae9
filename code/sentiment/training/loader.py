"""Training batches, copied to the device one step ahead."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentiment.text.batching import pad
from sentiment.text.sequences import Examples


class DeviceBatch(NamedTuple):
    """A batch on the device.

    Attributes:
        ids: [batch, time] int64, padded at the end.
        lengths: [batch] int64.
        labels: [batch] float32, 1 for positive, 0 for negative.
    """

    ids: Tensor
    lengths: Tensor
    labels: Tensor

    def split(self, max_tokens: int) -> "list[DeviceBatch]":
        """Micro-batches of at most ``max_tokens`` padded tokens, or of one review."""
        rows = max(1, max_tokens // self.ids.shape[1])
        starts = range(0, len(self.ids), rows)
        return [DeviceBatch(*(tensor[start : start + rows] for tensor in self)) for start in starts]


class Prefetcher:
    """Iterates over batches; ``prefetch`` pads and copies the next one while a GPU computes.

    ``batches`` holds the indices of each batch. An empty one yields one arbitrary review, since the network
    takes no empty batch; its caller must give it no weight.
    """

    def __init__(self, examples: Examples, batches: list[NDArray[np.int64]], device: torch.device) -> None:
        self._examples = examples
        self._device = device
        self._indices = iter(batches)
        self._next: DeviceBatch | None = None
        # In the stream that computes, a copy would wait for its turn.
        self._copy_stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[DeviceBatch]:
        """The batches, in order."""
        self.prefetch()
        while self._next is not None:
            batch, self._next = self._next, None
            if self._copy_stream is not None:
                compute_stream = torch.cuda.current_stream(self._device)
                compute_stream.wait_stream(self._copy_stream)
                for tensor in batch:
                    tensor.record_stream(compute_stream)
            yield batch
            self.prefetch()

    def prefetch(self) -> None:
        """Pad the next batch and start its copy to the device, unless this is done already."""
        if self._next is not None or (indices := next(self._indices, None)) is None:
            return
        if len(indices) == 0:
            indices = np.zeros(1, np.int64)
        batch = pad(self._examples.sequences, indices)
        labels = self._examples.labels[indices].astype(np.float32)
        tensors = DeviceBatch(*map(torch.from_numpy, (batch.ids, batch.lengths, labels)))
        if self._copy_stream is not None:
            with torch.cuda.stream(self._copy_stream):
                # Only copies from pinned memory are asynchronous.
                tensors = DeviceBatch(*(t.pin_memory().to(self._device, non_blocking=True) for t in tensors))
        self._next = tensors
