"""The language model that pretrains embedding and LSTM.

Pretraining on reviews, labeled or not, is the strength of an LSTM: Dai and Le (NIPS 2015, table 2) reduce its
error on IMDb from 13.5 % to 7.6 %.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sentiment.model.network import initialize
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import PAD_ID

END_ID = PAD_ID  # the end of a review; the language model has no padding
State = tuple[Tensor, Tensor]
# Most logits at a time in evaluation: 1,000 steps of the default vocabulary, which take several times 128 MB.
_EVALUATION_LOGITS = 2**25


class LanguageModel(nn.Module):
    """Predicts the next token from the tokens before it.

    The output shares the embedding's weights (Press and Wolf, EACL 2017) through a projection, which lets
    embedding and hidden size differ.

    Args:
        counts: [vocab_size] occurrences of each token. The output bias starts at the log frequencies:
            an optimizer with a bounded step would take thousands of steps to get there.
        embedding_dim: embedding size.
        hidden_dim: LSTM hidden size.
    """

    def __init__(self, counts: NDArray[np.int64], embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(counts), embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim)
        self.projection = nn.Linear(hidden_dim, embedding_dim)
        self.bias_embedding = nn.Embedding(len(counts), 1)
        initialize(self.embedding, self.lstm)
        frequencies = np.maximum(counts, 1) / counts.sum()
        with torch.no_grad():
            self.embedding.weight[END_ID].normal_(std=0.1)
            self.bias_embedding.weight.copy_(torch.from_numpy(np.log(frequencies))[:, None])

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        candidates: Tensor,
        log_inclusion: Tensor,
        state: State | None,
    ) -> tuple[Tensor, State]:
        """[] mean loss of a batch in nats, and the LSTM's state after it.

        The denominator of the softmax is estimated from a sample of the vocabulary, the candidates, each
        weighted by the inverse of its probability of being sampled: Bengio and Senécal, IEEE Transactions on
        Neural Networks 19 (2008). With all tokens as candidates, it is exact.

        Args:
            inputs: [time, batch] int64.
            targets: [time, batch] int64, the token after each input.
            candidates: [candidates] int64, distinct tokens.
            log_inclusion: [candidates] log probability of being a candidate.
            state: of the LSTM before the batch; None for zeros.
        """
        targets = targets.flatten()
        sizes = [len(targets), len(candidates)]
        # One look-up each, because its gradient is as large as the embedding; the gradients of a split are
        # concatenated, those of slices would be padded with zeros and added.
        vectors = self.embedding(torch.cat([inputs.flatten(), targets, candidates]))
        input_vectors, target_vectors, candidate_vectors = vectors.split([len(targets), *sizes])
        bias = self.bias_embedding(torch.cat([targets, candidates])).squeeze(1)
        target_bias, candidate_bias = bias.split(sizes)
        outputs, state = self.lstm(input_vectors.unflatten(0, inputs.shape), state)
        hidden = self.projection(outputs.flatten(0, 1))
        target_logits = (hidden * target_vectors).sum(1, dtype=torch.float32) + target_bias
        logits = (hidden @ candidate_vectors.T).float() + (candidate_bias - log_inclusion)
        logits = torch.cat([target_logits[:, None], logits], 1)
        # The target counts exactly, and so not as a candidate.
        column = torch.full((len(self.bias_embedding.weight),), -1, device=targets.device)
        column[candidates] = torch.arange(1, len(candidates) + 1, device=targets.device)
        rows = (column[targets] > 0).nonzero().squeeze(1)
        logits[rows, column[targets[rows]]] = -torch.inf
        loss = functional.cross_entropy(logits, torch.zeros_like(targets))
        return loss, (state[0].detach(), state[1].detach())

    @torch.inference_mode()
    def perplexity(self, sequences: Sequences, dtype: torch.dtype | None) -> float:
        """Exponential of the mean loss per token, ends included, with the full softmax.

        There must be a review; each starts from a zero state. ``dtype`` is that of the arithmetic, None for
        float32.
        """
        device = self.embedding.weight.device
        everything = torch.arange(len(self.embedding.weight), device=device)
        steps = max(1, _EVALUATION_LOGITS // len(everything))
        log_inclusion = torch.zeros(len(everything), device=device)
        total, count = 0.0, 0
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            for i in range(len(sequences)):
                ids = torch.from_numpy(np.pad(sequences[i].astype(np.int64), 1, constant_values=END_ID))
                ids, state = ids.to(device)[:, None], None
                for start in range(0, len(ids) - 1, steps):
                    targets = ids[1:][start : start + steps]
                    inputs = ids[start : start + len(targets)]
                    loss, state = self(inputs, targets, everything, log_inclusion, state)
                    total, count = total + float(loss) * len(targets), count + len(targets)
        with np.errstate(over="ignore"):
            return float(np.exp(total / count))
