"""The network of the preset ``baseline``, trained the way tutorials do; the other side of the comparison.

    python -m benchmarks.training.plain fp32|bf16|fp16

Reviews are padded to 500 words, the last state is classified, batches hold 512 reviews in random order, and
the optimizer is Adam with PyTorch's defaults.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.hyperparameters import parse_hyperparameters
from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag
from sentiment.data import datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.text.sequences import Examples
from sentiment.training.determinism import set_up_torch

BASELINE = parse_hyperparameters(Hyperparameters, {"preset": "baseline"})
MAX_LENGTH = 500
BATCH_SIZE = 512


class PlainLSTM(nn.Module):
    """Embedding, LSTM and linear layer over padded batches."""

    def __init__(self, vocab_size: int, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.linear = nn.Linear(hidden_dim, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[batch, 500] ids and [batch] lengths to [batch] logits."""
        outputs, _ = self.lstm(self.embedding(ids))
        last = outputs[torch.arange(len(ids), device=ids.device), lengths - 1]
        logits: Tensor = self.linear(last).squeeze(1)
        return logits


def pad(examples: Examples) -> tuple[Tensor, Tensor]:
    """[reviews, 500] ids and [reviews] lengths."""
    ids = np.zeros((len(examples.labels), MAX_LENGTH), np.int64)
    lengths = examples.sequences.lengths.clip(1, MAX_LENGTH)
    for row in range(len(ids)):
        sequence = examples.sequences[row][:MAX_LENGTH]
        ids[row, : len(sequence)] = sequence
    return torch.from_numpy(ids), torch.from_numpy(lengths)


class PlainTrainer:
    """Trains one optimizer step at a time, with the sizes of the preset ``baseline``."""

    def __init__(self, examples: Examples, vocab_size: int, precision: str) -> None:
        network = PlainLSTM(vocab_size, BASELINE.embedding_dim, BASELINE.hidden_dim)
        self.device = SINGLE_PROCESS.device
        self.network = network.to(self.device)
        self.ids, self.lengths = pad(examples)
        self.labels = torch.from_numpy(examples.labels.astype(np.float32))
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        self.dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.left = torch.empty(0, dtype=torch.int64)

    def step(self) -> int:
        """Train on the next random batch, and return its number of reviews."""
        if len(self.left) == 0:
            self.left = torch.randperm(len(self.labels))
        chosen, self.left = self.left[:BATCH_SIZE], self.left[BATCH_SIZE:]
        ids, lengths = self.ids[chosen].to(self.device), self.lengths[chosen].to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            logits = self.network(ids, lengths)
        labels = self.labels[chosen].to(self.device)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss.item()
        return len(chosen)


def main(base: Path, precision: str) -> None:
    """Train an epoch, and print its speed."""
    set_up_torch(BASELINE.seed)
    data = datasets.load(Job("sentiment", OptMl(base), BASELINE, StopFlag()))
    trainer = PlainTrainer(data.training, len(data.vocabulary), precision)
    start = time.perf_counter()
    reviews = sum(trainer.step() for _ in range(-(-len(data.training.labels) // BATCH_SIZE)))
    print(f"epoch=1; reviews_per_second={reviews / (time.perf_counter() - start):.0f};")


if __name__ == "__main__":
    main(Path(os.environ["SAGEMAKER_BASE_DIR"]), sys.argv[1])
