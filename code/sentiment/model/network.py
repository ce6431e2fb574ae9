"""The network: an embedding, one LSTM layer and one linear layer, which returns logits."""

import math
import os

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

# Gate bias of the pass-through cell: its gates are 98 % open or closed.
_GATE_BIAS = 4.0
# Scale of the pass-through cell's input: tanh deviates from linear by less than 2 % for scores up to 5.
_INPUT_SCALE = 0.05

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
        self.pooling = settings.pooling
        self.pseudo_count = PSEUDO_COUNT.get(settings.pooling)
        self.ngram_scores = settings.ngram_scores
        self.word_dropout = word_dropout
        self.embedding = nn.Embedding(settings.vocab_size, settings.embedding_dim, padding_idx=PAD_ID)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.lstm = nn.LSTM(settings.embedding_dim, settings.hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(settings.hidden_dim, 1)
        self._initialize()

    def _initialize(self) -> None:
        with torch.no_grad():
            self.embedding.weight.normal_(std=0.1)
            self.embedding.weight[PAD_ID].zero_()
            # The forget gate is the second quarter. A bias of 1 lets gradients reach far back: Jozefowicz,
            # Zaremba and Sutskever, ICML 2015, section 2.2.
            hidden_dim = self.lstm.hidden_size
            forget = slice(hidden_dim, 2 * hidden_dim)
            self.lstm.get_parameter("bias_ih_l0")[forget].fill_(1.0)

    @torch.no_grad()
    def initialize_from(
        self,
        vectors: NDArray[np.float32] | None = None,
        scores: NDArray[np.float32] | None = None,
        slope: float = 0.0,
        intercept: float = 0.0,
    ) -> None:
        """Initialize from [vocab_size, embedding_dim] embeddings and [vocab_size] n-gram scores.

        The score of a token becomes the last element of its embedding. With a mean pooling, the first cell of
        the LSTM passes it through and the linear layer uses this cell alone: the initial logits are ``slope``
        times the mean score plus ``intercept``. Other poolings start without this path.
        """
        if vectors is not None:
            self.embedding.weight.copy_(torch.from_numpy(vectors))
        if scores is not None:
            self.embedding.weight[:, -1] = torch.from_numpy(scores)
            if self.pseudo_count is not None:
                self._init_passthrough_cell(slope, intercept)

    def _init_passthrough_cell(self, slope: float, intercept: float) -> None:
        gates = range(0, 4 * self.lstm.hidden_size, self.lstm.hidden_size)  # input, forget, cell, output
        for name, weights in self.lstm.named_parameters():
            weights[gates] = 0.0
            if name.startswith("bias_ih"):
                weights[gates] = torch.tensor([_GATE_BIAS, -_GATE_BIAS, 0.0, _GATE_BIAS])
        self.lstm.get_parameter("weight_ih_l0")[gates[2], -1] = _INPUT_SCALE
        gain = _INPUT_SCALE * (1 / (1 + math.exp(-_GATE_BIAS))) ** 2
        self.linear.weight.zero_()
        self.linear.weight[0, 0] = slope / gain
        self.linear.bias.fill_(intercept)

    def forward(self, ids: Tensor, lengths: Tensor, ngram_scores: Tensor | None = None) -> Tensor:
        """[batch] logits.

        Args:
            ids: [batch, time] int64, padded at the end.
            lengths: [batch] int64, at least 1.
            ngram_scores: [batch, time], used instead of the last elements of the embeddings; ignored by a
                network without n-gram scores. Neither they nor the pass-through cell have dropout.
        """
        # Time first from here on, as in the LSTM kernels. They also process padding, but only after the last
        # token of a review, so that no token's output depends on it.
        vectors: Tensor = self.embedding(self._drop_words(ids.T.contiguous()))
        # One mask per review: Gal and Ghahramani, NIPS 2016.
        vectors = vectors * self.embedding_dropout(torch.ones_like(vectors[:1]))
        if self.ngram_scores:
            scores = self.embedding.weight[ids, -1] if ngram_scores is None else ngram_scores
            vectors = _replace_last(vectors, (scores * is_first_occurrence(ids)).T)
        outputs, _ = self.lstm(vectors)
        pooled = self._pool(outputs.float(), lengths)
        passthrough_cells = 1 if self.ngram_scores else 0
        dropped = self.dropout(pooled[:, passthrough_cells:])
        logits: Tensor = self.linear(torch.cat([pooled[:, :passthrough_cells], dropped], 1)).squeeze(1)
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
        is_first = is_first_occurrence(ids).T if self.ngram_scores else None
        ids = ids.T
        hidden_dim = self.lstm.hidden_size
        start = -torch.inf if self.pooling == "max" else 0.0
        pooled = torch.full((len(lengths), hidden_dim), start, device=ids.device)
        state = (torch.zeros(1, len(lengths), hidden_dim, device=ids.device),) * 2
        for begin in range(0, len(ids), CHUNK):
            rows = int((lengths > begin).sum())
            vectors = self.embedding(ids[begin : begin + CHUNK, :rows].contiguous())
            if is_first is not None:
                vectors = _replace_last(vectors, vectors[..., -1] * is_first[begin : begin + CHUNK, :rows])
            outputs, state = self.lstm(vectors, tuple(tensor[:, :rows].contiguous() for tensor in state))
            self._pool_chunk(pooled[:rows], outputs.float(), lengths[:rows] - begin)
        if self.pseudo_count is not None:
            pooled /= lengths[:, None] + self.pseudo_count
        logits: Tensor = self.linear(pooled).squeeze(1)
        return logits

    def _drop_words(self, ids: Tensor) -> Tensor:
        if not (self.training and self.word_dropout):
            return ids
        dropped = torch.rand(ids.shape, device=ids.device) < self.word_dropout
        return ids.masked_fill(dropped & (ids != PAD_ID), UNK_ID)

    def _pool_chunk(self, pooled: Tensor, outputs: Tensor, remaining: Tensor) -> None:
        """Update ``pooled``, [rows, hidden], by the outputs of a chunk, [CHUNK, rows, hidden].

        ``remaining`` is the [rows] number of tokens from the start of the chunk.
        """
        if self.pooling == "last":
            ends = remaining <= len(outputs)
            pooled[ends] = outputs[remaining[ends] - 1, ends.nonzero().squeeze(1)]
            return
        padding = (torch.arange(len(outputs), device=remaining.device)[:, None] >= remaining).unsqueeze(2)
        if self.pooling == "max":
            torch.maximum(pooled, outputs.masked_fill_(padding, -torch.inf).amax(0), out=pooled)
        else:
            pooled += outputs.masked_fill_(padding, 0).sum(0)

    def _pool(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """[time, batch, hidden] to [batch, hidden], without padding."""
        if self.pooling == "last":
            return outputs[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
        steps = torch.arange(len(outputs), device=lengths.device)
        padding = (steps[:, None] >= lengths).unsqueeze(2)
        if self.pooling == "max":
            return outputs.masked_fill(padding, -torch.inf).amax(0)
        return outputs.masked_fill(padding, 0).sum(0) / (lengths[:, None] + (self.pseudo_count or 0))


def is_first_occurrence(ids: Tensor) -> Tensor:
    """[batch, time] whether an id occurs for the first time in its row."""
    order = ids.argsort(dim=1, stable=True)
    ordered = ids.gather(1, order)
    is_new = torch.ones_like(ids, dtype=torch.bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(is_new).scatter_(1, order, is_new)


def _replace_last(vectors: Tensor, elements: Tensor) -> Tensor:
    """[time, batch, embedding_dim] vectors with [time, batch] last elements."""
    return torch.cat([vectors[..., :-1], elements.unsqueeze(2)], 2)


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
