"""The network: an embedding, one LSTM layer and one linear layer, which returns logits."""

import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sentiment.settings import PSEUDO_COUNT, NetworkSettings
from sentiment.text.batching import Batch, evaluation_batches
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import PAD_ID, UNK_ID

# oneDNN, which runs the LSTM on CPUs, caches compiled code for the last 1,024 shapes: half a gigabyte for
# batches of every width, without a measurable gain. The variable is read at the first use of oneDNN.
# https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")

# Time steps per chunk in evaluation. Sequences that have ended are dropped after each chunk, so that padding
# costs little; and oneDNN, which takes about a millisecond to prepare a new shape, sees few shapes.
CHUNK = 64
# Most padding tokens, over all rows, that complete the last chunk; with more, a new shape is cheaper.
_MAX_CHUNK_PADDING = 128

# Padded tokens in an evaluation batch: enough for full speed, while the LSTM's output (tokens x hidden_dim x
# 4 bytes) stays far below the memory of a training step.
EVALUATION_TOKENS = 16_384


class SentimentLSTM(nn.Module):
    """Maps token ids of a review to a logit.

    Args:
        settings: shape of the network.
        dropout: dropout on the pooled LSTM output.
        embedding_dropout: dropout on embedding dimensions, one mask per review.
        word_dropout: probability of replacing a word by the unknown token.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pooling = settings.pooling.split("-")
        self.word_dropout = word_dropout
        self.embedding = nn.Embedding(settings.vocab_size, settings.embedding_dim, padding_idx=PAD_ID)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.lstm = nn.LSTM(settings.embedding_dim, settings.hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(settings.pooled_dim, 1)
        initialize(self.embedding, self.lstm)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[batch] logits.

        Args:
            ids: [batch, time] int64, padded at the end.
            lengths: [batch] int64, at least 1.
        """
        # Time first from here on, as in the LSTM kernels. They also process padding, but only after the last
        # token of a review, so that no token's output depends on it.
        vectors: Tensor = self.embedding(self._drop_words(ids.T.contiguous()))
        # One mask per review: Gal and Ghahramani, NIPS 2016.
        vectors = vectors * self.embedding_dropout(torch.ones_like(vectors[:1]))
        outputs, _ = self.lstm(vectors)
        pooled = self._concatenate(self._pool(outputs, lengths), lengths)
        logits: Tensor = self.linear(self.dropout(pooled)).squeeze(1)
        return logits

    def forward_in_chunks(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[batch] logits as of ``forward``, without dropout, in less time: see ``CHUNK``.

        Args:
            ids: [batch, time] int64, padded at the end, the longest sequence first.
            lengths: [batch] int64, at least 1.
        """
        padding = -ids.shape[1] % CHUNK
        if padding * int((lengths > ids.shape[1] + padding - CHUNK).sum()) <= _MAX_CHUNK_PADDING:
            ids = nn.functional.pad(ids, (0, padding), value=PAD_ID)
        ids = ids.T
        state = (torch.zeros(1, len(lengths), self.lstm.hidden_size, device=ids.device),) * 2
        pooled: dict[str, Tensor] = {}
        for begin in range(0, len(ids), CHUNK):
            rows = int((lengths > begin).sum())
            vectors = self.embedding(ids[begin : begin + CHUNK, :rows].contiguous())
            outputs, state = self.lstm(vectors, tuple(tensor[:, :rows].contiguous() for tensor in state))
            chunk = self._pool(outputs, lengths[:rows] - begin)
            for name, values in chunk.items():
                if name in pooled:
                    pooled[name][:rows] = _MERGE[name](pooled[name][:rows], values)
                else:
                    pooled[name] = values
        logits: Tensor = self.linear(self._concatenate(pooled, lengths)).squeeze(1)
        return logits

    def _drop_words(self, ids: Tensor) -> Tensor:
        if not (self.training and self.word_dropout):
            return ids
        dropped = torch.rand(ids.shape, device=ids.device) < self.word_dropout
        return ids.masked_fill(dropped & (ids != PAD_ID), UNK_ID)

    def _pool(self, outputs: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Pool [time, batch, hidden] over the first ``lengths`` steps to [batch, hidden], by pooling.

        ``mean`` is still a sum. A length that exceeds the time leaves ``last`` zero.
        """
        steps = torch.arange(len(outputs), device=lengths.device)[:, None]
        # Products and sums with the mask take half the time of ``masked_fill``.
        mask = (steps < lengths).to(outputs.dtype).unsqueeze(2)
        pooled = {}
        if "last" in self.pooling:
            last = (steps == lengths - 1).to(outputs.dtype)
            pooled["last"] = torch.einsum("tbh,tb->bh", outputs, last).float()
        if "mean" in self.pooling:
            # The 16-bit outputs are summed in 32 bits.
            pooled["mean"] = (outputs * mask).sum(0, dtype=torch.float32)
        if "max" in self.pooling:
            # Outputs lie between -1 and 1, those of padding below -1. The gradient of ``amax`` is slower.
            pooled["max"] = (outputs + 2 * (mask - 1)).max(0).values.float()
        return pooled

    def _concatenate(self, pooled: dict[str, Tensor], lengths: Tensor) -> Tensor:
        """[batch, pooled_dim] pooled outputs."""
        if "mean" in pooled:
            pooled["mean"] = pooled["mean"] / (lengths[:, None] + PSEUDO_COUNT)
        return torch.cat([pooled[name] for name in self.pooling], 1)


# How the pooled outputs of two runs of steps become those of both.
_MERGE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "last": torch.add,
    "mean": torch.add,
    "max": torch.maximum,
}


@torch.no_grad()
def initialize(embedding: nn.Embedding, lstm: nn.LSTM) -> None:
    """Draw random embeddings, and open the forget gates.

    A forget-gate bias of 1 lets gradients reach far back: Jozefowicz, Zaremba and Sutskever, ICML 2015,
    section 2.2.
    """
    embedding.weight.normal_(std=0.1)
    embedding.weight[PAD_ID].zero_()
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)  # the second of four gates
    lstm.get_parameter("bias_ih_l0")[forget].fill_(1.0)


def to_tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and lengths of a padded batch on the device."""
    return torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.lengths).to(device)


@torch.inference_mode()
def evaluate(
    network: SentimentLSTM,
    sequences: Sequences,
    max_tokens: int = EVALUATION_TOKENS,
    dtype: torch.dtype | None = None,
) -> NDArray[np.float32]:
    """[sequences] logits, without dropout; ``dtype`` is that of the LSTM's arithmetic, None for float32."""
    device = network.embedding.weight.device
    logits = np.empty(len(sequences), np.float32)
    was_training = network.training
    network.eval()
    for batch in evaluation_batches(sequences, max_tokens):
        # cuDNN is faster with long sequences and needs no preparation for new shapes.
        forward = network.forward_in_chunks if device.type == "cpu" else network
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            logits[batch.indices] = forward(*to_tensors(batch, device)).float().cpu().numpy()
    network.train(was_training)
    return logits
