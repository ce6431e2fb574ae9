"""The network: an embedding, one LSTM layer, one linear layer; the sigmoid is at the edge."""

import math
import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sentiment.ngram_model.scores import NgramScores
from sentiment.settings import PSEUDO_COUNT, NetworkSettings
from sentiment.text.batching import Batch, evaluation_batches
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import PAD_ID, UNK_ID

# oneDNN, which runs the LSTM on CPUs, keeps what it compiled for each of the last 1,024 shapes: with batches
# of every width half a gigabyte, for no time that could be measured. It reads this at its first use.
# https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")

# Words that the network reads at a time where it does not learn. Between two such chunks the sequences that
# have ended are dropped, so that a batch of different lengths costs little more than its words; and oneDNN,
# which prepares each new shape for about a millisecond, sees few of them.
CHUNK = 64
# Words, in all rows, that a last chunk is filled up with for that; beyond, a new shape is cheaper.
_MOST_FILLING = 128

# The gates of the cell that hands on the n-gram scores: open or shut but for 2 %.
_OPEN = 4.0
# What it multiplies it by, so that tanh changes little of it: less than 2 % of what is up to 5.
_LINEAR = 0.05

# Padded tokens in one evaluation batch: large enough for full speed, small enough that the LSTM's
# output (tokens x hidden_dim x 4 bytes) stays far below the memory of a training step.
EVALUATION_TOKENS = 16_384


class SentimentLSTM(nn.Module):
    """Reviews, as word ids, to one logit each.

    Args:
        settings: its shape.
        dropout: probability of dropping an element in front of the linear layer.
        embedding_dropout: probability of dropping an element of the word vectors, the same one in all
            words of a review.
        word_dropout: probability of taking a word for an infrequent one.
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
            # The forget gate is the second quarter. Starting it open lets gradients reach far back:
            # Jozefowicz, Zaremba and Sutskever, ICML 2015, section 2.2.
            hidden_dim = self.lstm.hidden_size
            forget = slice(hidden_dim, 2 * hidden_dim)
            self.lstm.get_parameter("bias_ih_l0")[forget].fill_(1.0)

    @torch.no_grad()
    def begin_with(self, vectors: NDArray[np.float32] | None, ngram_scores: NgramScores | None) -> None:
        """Initialize the embeddings, [vocab_size, embedding_dim], and the path of the n-gram scores.

        The score of a token becomes the last element of its embedding. With a mean pooling the first cell of
        the LSTM passes it through and the linear layer uses this cell alone: the initial logits are those of
        the n-gram regression. Other poolings start without this path.
        """
        if vectors is not None:
            self.embedding.weight.copy_(torch.from_numpy(vectors))
        if ngram_scores is None:
            return
        self.embedding.weight[:, -1] = torch.from_numpy(ngram_scores.scores[-1])
        if self.pseudo_count is not None:
            self._hand_on(ngram_scores.slope.item(), ngram_scores.intercept.item())

    def _hand_on(self, slope: float, intercept: float) -> None:
        """Make the pooled mean of the vectors' last elements, by slope and intercept, what the logits are."""
        gates = range(0, 4 * self.lstm.hidden_size, self.lstm.hidden_size)  # input, forget, cell, output
        for name, weights in self.lstm.named_parameters():
            weights[gates] = 0.0
            if name.startswith("bias_ih"):
                weights[gates] = torch.tensor([_OPEN, -_OPEN, 0.0, _OPEN])
        self.lstm.get_parameter("weight_ih_l0")[gates[2], -1] = _LINEAR
        share = _LINEAR * (1 / (1 + math.exp(-_OPEN))) ** 2
        self.linear.weight.zero_()
        self.linear.weight[0, 0] = slope / share
        self.linear.bias.fill_(intercept)

    def forward(self, ids: Tensor, lengths: Tensor, ngram_scores: Tensor | None = None) -> Tensor:
        """Logits of a batch.

        Args:
            ids: [batch, time] int64, padded at the end.
            lengths: [batch] int64, at least 1.
            ngram_scores: [batch, time], used instead of the last elements of the embeddings. Neither they nor
                the cell that passes them through are dropped. Unused by a network without n-gram scores.

        Returns:
            [batch] logits; their sigmoid is the probability of "positive".
        """
        return self.read(self.embed(ids, ngram_scores), lengths)

    def embed(self, ids: Tensor, ngram_scores: Tensor | None = None) -> Tensor:
        """[time, batch, embedding_dim] what the LSTM reads; arguments as those of ``forward``.

        Time comes first from here on: it is the layout that the LSTM kernels work in. They read padding too,
        but only after the last word of a review, so that no real word's output depends on it.
        """
        vectors: Tensor = self.embedding(self._drop_words(ids.T.contiguous()))
        # One mask for all words of a review, as Gal and Ghahramani (NIPS 2016) do it.
        vectors = vectors * self.embedding_dropout(torch.ones_like(vectors[:1]))
        if not self.ngram_scores:
            return vectors
        if ngram_scores is None:
            ngram_scores = self.embedding.weight[ids, -1]
        return _with_ngram_scores(vectors, (ngram_scores * is_first(ids)).T)

    def read(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """[batch] logits of [time, batch, embedding_dim] vectors."""
        outputs, _ = self.lstm(vectors)
        pooled = self._pool(outputs.float(), lengths)
        # The cell that begins with the n-gram score is not dropped.
        first = 1 if self.ngram_scores else 0
        pooled = torch.cat([pooled[:, :first], self.dropout(pooled[:, first:])], 1)
        logits: Tensor = self.linear(pooled).squeeze(1)
        return logits

    def forward_in_chunks(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The same logits, without dropout, for less: see ``CHUNK``.

        Args:
            ids: [batch, time] int64, padded at the end, the longest sequence first.
            lengths: [batch] int64, at least 1.

        Returns:
            [batch] logits.
        """
        filling = -ids.shape[1] % CHUNK
        if filling * int((lengths > ids.shape[1] + filling - CHUNK).sum()) <= _MOST_FILLING:
            ids = nn.functional.pad(ids, (0, filling), value=PAD_ID)
        counts = is_first(ids).T if self.ngram_scores else None
        ids = ids.T
        hidden_dim = self.lstm.hidden_size
        start = -torch.inf if self.pooling == "max" else 0.0
        pooled = torch.full((len(lengths), hidden_dim), start, device=ids.device)
        state = (torch.zeros(1, len(lengths), hidden_dim, device=ids.device),) * 2
        for begin in range(0, len(ids), CHUNK):
            rows = int((lengths > begin).sum())
            vectors = self.embedding(ids[begin : begin + CHUNK, :rows].contiguous())
            if counts is not None:
                vectors = _with_ngram_scores(vectors, vectors[..., -1] * counts[begin : begin + CHUNK, :rows])
            outputs, state = self.lstm(vectors, tuple(part[:, :rows].contiguous() for part in state))
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

    def _pool_chunk(self, pooled: Tensor, outputs: Tensor, left: Tensor) -> None:
        """Take a chunk's outputs, [CHUNK, rows, hidden], into what is pooled of each row, [rows, hidden].

        ``left`` tells how many words of each row are left at the chunk's beginning.
        """
        if self.pooling == "last":
            ends = left <= len(outputs)
            pooled[ends] = outputs[left[ends] - 1, ends.nonzero().squeeze(1)]
            return
        padding = (torch.arange(len(outputs), device=left.device)[:, None] >= left).unsqueeze(2)
        if self.pooling == "max":
            torch.maximum(pooled, outputs.masked_fill_(padding, -torch.inf).amax(0), out=pooled)
        else:
            pooled += outputs.masked_fill_(padding, 0).sum(0)

    def _pool(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """[time, batch, hidden] to [batch, hidden], over real words only."""
        if self.pooling == "last":
            return outputs[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
        steps = torch.arange(len(outputs), device=lengths.device)
        padding = (steps[:, None] >= lengths).unsqueeze(2)
        if self.pooling == "max":
            return outputs.masked_fill(padding, -torch.inf).amax(0)
        return outputs.masked_fill(padding, 0).sum(0) / (lengths[:, None] + (self.pseudo_count or 0))


def is_first(ids: Tensor) -> Tensor:
    """[batch, time] whether an id comes for the first time in its row."""
    order = ids.argsort(dim=1, stable=True)
    ordered = ids.gather(1, order)
    is_new = torch.ones_like(ids, dtype=torch.bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(is_new).scatter_(1, order, is_new)


def _with_ngram_scores(vectors: Tensor, ngram_scores: Tensor) -> Tensor:
    """[time, batch, embedding_dim] vectors with [time, batch] in the place of their last elements."""
    return torch.cat([vectors[..., :-1], ngram_scores.unsqueeze(2)], 2)


def to_tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """A padded batch as the network's two arguments."""
    return torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.lengths).to(device)


@torch.inference_mode()
def evaluate(
    network: SentimentLSTM,
    sequences: Sequences,
    max_tokens: int = EVALUATION_TOKENS,
    dtype: torch.dtype | None = None,
) -> NDArray[np.float32]:
    """[sequences] logits, in the order of the sequences, without dropout.

    ``dtype`` is that of the LSTM's arithmetic; None is float32.
    """
    device = network.embedding.weight.device
    logits = np.empty(len(sequences), np.float32)
    was_training = network.training
    network.eval()
    for batch in evaluation_batches(sequences, max_tokens):
        # cuDNN likes long sequences, and does not mind new shapes.
        forward = network.forward_in_chunks if device.type == "cpu" else network
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            logits[batch.indices] = forward(*to_tensors(batch, device)).float().cpu().numpy()
    network.train(was_training)
    return logits
