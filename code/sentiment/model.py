"""The network: an embedding, one LSTM layer, one linear layer; the sigmoid is at the edge."""

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sentiment.batches import NO_WORD, Batch, Sequences, evaluation_batches
from sentiment.settings import NetworkSettings

# oneDNN, which runs the LSTM on CPUs, keeps what it compiled for each of the last 1,024 shapes: with batches
# of every width half a gigabyte, for no time that could be measured. It reads this at its first use.
# https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")

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
    """

    def __init__(
        self, settings: NetworkSettings, dropout: float = 0.0, embedding_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.pooling = settings.pooling
        self.embedding = nn.Embedding(settings.vocab_size, settings.embedding_dim, padding_idx=NO_WORD)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.lstm = nn.LSTM(settings.embedding_dim, settings.hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(settings.hidden_dim, 1)
        self._initialize()

    def _initialize(self) -> None:
        with torch.no_grad():
            self.embedding.weight.normal_(std=0.1)
            self.embedding.weight[NO_WORD].zero_()
            # The forget gate is the second quarter. Starting it open lets gradients reach far back:
            # Jozefowicz, Zaremba and Sutskever, ICML 2015, section 2.2.
            hidden_dim = self.lstm.hidden_size
            forget = slice(hidden_dim, 2 * hidden_dim)
            self.lstm.get_parameter("bias_ih_l0")[forget].fill_(1.0)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            ids: [batch, time] int64, padded at the end.
            lengths: [batch] int64, at least 1.

        Returns:
            [batch] logits; their sigmoid is the probability of "positive".
        """
        # Time comes first from here on: it is the layout that the LSTM kernels work in. They read
        # padding too, but only after the last word of a review, so that no real word's output
        # depends on it.
        vectors = self.embedding(ids.T.contiguous())
        # One mask for all words of a review, as Gal and Ghahramani (NIPS 2016) do it.
        vectors = vectors * self.embedding_dropout(torch.ones_like(vectors[:1]))
        outputs, _ = self.lstm(vectors)
        logits: Tensor = self.linear(self.dropout(self._pool(outputs.float(), lengths))).squeeze(1)
        return logits

    def _pool(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """[time, batch, hidden] to [batch, hidden], over real words only."""
        if self.pooling == "last":
            return outputs[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
        steps = torch.arange(len(outputs), device=lengths.device)
        padding = (steps[:, None] >= lengths).unsqueeze(2)
        if self.pooling == "max":
            return outputs.masked_fill(padding, -torch.inf).amax(0)
        return outputs.masked_fill(padding, 0).sum(0) / lengths[:, None]


def to_tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """A padded batch as the network's two arguments."""
    return torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.lengths).to(device)


@torch.inference_mode()
def evaluate(
    network: SentimentLSTM, sequences: Sequences, max_tokens: int = EVALUATION_TOKENS
) -> NDArray[np.float32]:
    """[sequences] logits, in the order of the sequences, without dropout."""
    device = network.embedding.weight.device
    logits = np.empty(len(sequences), np.float32)
    was_training = network.training
    network.eval()
    for batch in evaluation_batches(sequences, max_tokens):
        logits[batch.indices] = network(*to_tensors(batch, device)).cpu().numpy()
    network.train(was_training)
    return logits
