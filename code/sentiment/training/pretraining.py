"""Pretraining of embedding and LSTM as a language model: next token, by truncated backpropagation.

All reviews, in random order and with an end token between them, form streams of equal length. A batch holds
the next ``STEPS`` tokens of each stream, and the LSTM's state passes from batch to batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from byoc.errors import DataError
from byoc.signals import StopFlag
from sentiment.model.language_model import END_ID, LanguageModel
from sentiment.text.sequences import Sequences
from sentiment.training.state import Setup, TrainingState
from sentiment.training.trainer import Step, Trainer

STEPS = 80  # of truncated backpropagation: Merity, Keskar and Socher, ICLR 2018, use 70
# Most logits of a batch: the full softmax on a GPU, about 1,000 candidates on a CPU.
MAX_LOGITS = {"cpu": 2_621_440, "cuda": 2**29}
_MIN_CANDIDATES = 256
# Power of the counts that candidates are drawn by, as in word2vec.
_POWER = 0.75
# Reviews that the perplexity is measured on.
_PERPLEXITY_REVIEWS = 100


class Pretraining(Trainer):
    """Trains a language model on reviews, labeled or not.

    Args:
        corpora: reviews to train on.
        held_out: reviews to measure the perplexity on.
        vocab_size: number of token ids.
        setup: settings of the job.

    Raises:
        DataError: the reviews have fewer words than there are processes, or none.
    """

    stage = "pretraining"
    rate = "pretraining_learning_rate"

    def __init__(
        self, corpora: Sequence[Sequences], held_out: Sequences, vocab_size: int, setup: Setup
    ) -> None:
        hyperparameters, process_group = setup.hyperparameters, setup.process_group
        self.sequences = corpora[0]
        for sequences in corpora[1:]:
            self.sequences = self.sequences.concatenate(sequences)
        if len(self.sequences.ids) < process_group.size:
            raise DataError(
                f"the reviews to train on contain {len(self.sequences.ids)} words, too few for pretraining\n"
                "provide more reviews or, with labels, set pretraining_epochs=0"
            )
        self.held_out = held_out.take(np.arange(min(len(held_out), _PERPLEXITY_REVIEWS)))
        self.tokens = len(self.sequences.ids) + len(self.sequences)
        streams = min(hyperparameters.pretraining_batch_size, self.tokens // STEPS)
        self.streams = max(1, streams, process_group.size)
        counts = np.bincount(self.sequences.ids, minlength=vocab_size)
        counts[END_ID] = len(self.sequences)
        device = process_group.device
        candidates = max(_MIN_CANDIDATES, MAX_LOGITS[device.type] // (self.streams * STEPS))
        self.sampler = CandidateSampler(counts, candidates)
        model = LanguageModel(counts, hyperparameters.embedding_dim, hyperparameters.hidden_dim).to(device)
        hyperparameters = replace(
            hyperparameters,
            epochs=hyperparameters.pretraining_epochs,
            learning_rate=hyperparameters.pretraining_learning_rate,
            embedding_lr_scale=1.0,
            lr_schedule="linear",
            ema_decay=0.0,
        )
        setup = replace(setup, hyperparameters=hyperparameters)
        self.model = model
        self.stream_length = (self.tokens - 1) // self.streams
        batches = -(-self.stream_length // STEPS)
        super().__init__(setup, TrainingState(model, batches, setup))

    def steps(self) -> Iterator[Step]:
        """The remaining steps of the current epoch."""
        state, group, seed = self.state, self.process_group, self.hyperparameters.seed
        if state.batches_done == 0:
            state.carried.clear()
        generator = np.random.default_rng([seed, len(state.history)])
        shard = make_streams(self.sequences, self.streams, generator)[group.rank :: group.size]
        # Gradients are averaged over processes, so the loss of a larger shard needs a larger weight.
        weight = len(shard) * group.size / self.streams
        for start in range(state.batches_done * STEPS, self.stream_length, STEPS):
            tokens = shard[:, start : start + STEPS + 1].T.astype(np.int64)
            batch = torch.from_numpy(tokens).to(state.device)
            u = np.random.default_rng([seed, state.step, 1]).random()
            candidates = torch.from_numpy(self.sampler.sample(u)).to(state.device)
            yield Step([self._loss(batch, candidates, weight)], (len(batch) - 1) * self.streams)

    def _loss(self, batch: Tensor, candidates: Tensor, weight: float) -> Callable[[], Tensor]:
        def loss() -> Tensor:
            carried = self.state.carried
            before = (carried["hidden"][None], carried["cell"][None]) if carried else None
            log_inclusion = self.sampler.log_inclusion.to(candidates.device)[candidates]
            result: Tensor
            result, (hidden, cell) = self.state.optimization.network(
                batch[:-1], batch[1:], candidates, log_inclusion, before
            )
            self.state.carried = {"hidden": hidden[0].float(), "cell": cell[0].float()}
            return result * weight

        return loss

    def validate(self, stop: StopFlag) -> Mapping[str, float]:
        """Perplexity per token of training and held-out reviews."""
        state = self.state
        dtype = state.optimization.dtype
        perplexity = self.process_group.run_interruptible(
            stop, lambda: self.model.perplexity(self.held_out, dtype)
        )
        tokens = self.stream_length * self.streams
        with np.errstate(over="ignore"):
            train_perplexity = float(np.exp(state.loss_sum / tokens))
        self.check_finite("training", train_perplexity)
        self.check_finite("validation", perplexity)
        return {
            "pretraining_epoch": len(state.history) + 1,
            "train_perplexity": train_perplexity,
            "validation_perplexity": perplexity,
            "tokens_per_second": round(tokens / state.seconds),
        }


def make_streams(sequences: Sequences, count: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """[count, length + 1] tokens: all sequences in random order, cut into streams.

    An end token precedes each sequence, and the last token of a stream is the first of the next. Fewer than
    ``count`` tokens at the end are dropped.
    """
    order = generator.permutation(len(sequences))
    shuffled = sequences.take(order)
    # Every token moves right by the number of end tokens up to it.
    ids = np.full(len(shuffled.ids) + len(shuffled), END_ID, np.int32)
    ids[np.arange(len(shuffled.ids)) + shuffled.rows + 1] = shuffled.ids
    length = (len(ids) - 1) // count
    return np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::length][:count]


class CandidateSampler:
    """Systematic sampling of tokens, frequent ones with certainty.

    A token is sampled with probability ``min(1, factor * count**0.75)``, no token twice.

    Args:
        counts: [vocab_size] occurrences of each token.
        samples: number of candidates; at least ``vocab_size`` makes every token one.
    """

    def __init__(self, counts: NDArray[np.int64], samples: int) -> None:
        self.samples = min(samples, len(counts))
        weights = np.maximum(counts, 1) ** _POWER
        inclusion = np.zeros(len(counts))
        while (inclusion == 0).any():
            rest = inclusion < 1
            inclusion[rest] = (self.samples - (~rest).sum()) * weights[rest] / weights[rest].sum()
            if (inclusion > 1).any():  # a token cannot have more than certainty: share the rest again
                inclusion = np.where(inclusion >= 1, 1.0, 0.0)
        self.log_inclusion = torch.from_numpy(np.log(inclusion).astype(np.float32))  # [vocab_size]
        self._ends = np.cumsum(inclusion)

    def sample(self, u: float) -> NDArray[np.int64]:
        """[samples] distinct tokens for a number in [0, 1)."""
        if self.samples == len(self._ends):
            return np.arange(self.samples)
        tokens = np.searchsorted(self._ends, u + np.arange(self.samples), side="right")
        return tokens.clip(max=len(self._ends) - 1)
