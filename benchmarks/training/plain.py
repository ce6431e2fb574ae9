"""The network of the preset ``baseline``, trained the way tutorials do; the other side of the comparison.

Reviews are padded to 500 words, the last state is classified, batches hold 512 reviews in random order, and
the optimizer is Adam with PyTorch's defaults.
"""

import numpy as np
import torch
from torch import Tensor, nn

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


def pad(sequences: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """[reviews, 500] ids and [reviews] lengths."""
    ids = np.zeros((len(sequences), MAX_LENGTH), np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence[:MAX_LENGTH]
    lengths = np.array([max(1, len(sequence[:MAX_LENGTH])) for sequence in sequences])
    return torch.from_numpy(ids), torch.from_numpy(lengths)


class PlainTrainer:
    """One optimizer step at a time."""

    def __init__(
        self,
        network: PlainLSTM,
        sequences: list[np.ndarray],
        labels: np.ndarray,
        precision: str,
        device: torch.device,
    ) -> None:
        self.device = device
        self.network = network.to(device)
        self.ids, self.lengths = pad(sequences)
        self.labels = torch.from_numpy(labels.astype(np.float32))
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        self.dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
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
