"""Fine-tuning of the network on labeled reviews: batches, validation, early stopping."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from byoc.distributed.process_group import ProcessGroup
from byoc.signals import StopFlag
from sentiment.evaluation.metrics import log_loss
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.model.weighted_sum import cross_fitted_sum
from sentiment.text.batching import training_batches
from sentiment.text.sequences import Examples, Sequences
from sentiment.training.loader import DeviceBatch, Prefetcher
from sentiment.training.state import Setup, TrainingState
from sentiment.training.trainer import Step, Trainer

logger = logging.getLogger(__name__)

# Padded tokens of a micro-batch in 16-bit arithmetic; half as many in 32-bit. Without this bound the batch of
# the longest reviews would set the memory that a job needs.
MICRO_BATCH_TOKENS = {"cpu": 24_000, "cuda": 500_000}


def best_epoch(history: list[Mapping[str, float]]) -> int:
    """Number of the epoch with the lowest validation loss, the first among equals; 0 without any."""
    return min((epoch["validation_loss"], int(epoch["epoch"])) for epoch in history)[1] if history else 0


class FineTuning(Trainer):
    """Trains the network on labels and keeps the model of the epoch with the lowest validation loss.

    Args:
        network: on its device.
        training: reviews with labels.
        validation: held-out reviews.
        ngram_logits: [models, validation reviews] logits of the n-gram model, or of none.
        setup: settings of the job.
        pretraining: results of the pretraining epochs.
    """

    stage = "training"
    rate = "learning_rate"

    def __init__(
        self,
        network: SentimentLSTM,
        training: Examples,
        validation: Examples,
        ngram_logits: NDArray[np.float32],
        setup: Setup,
        pretraining: Sequence[Mapping[str, float]] = (),
    ) -> None:
        hyperparameters, first_epoch = setup.hyperparameters, len(pretraining)
        network.embedding.requires_grad_(hyperparameters.embedding_lr_scale > 0)
        batches = -(-len(training.labels) // hyperparameters.batch_size)
        state = TrainingState(network, batches, setup, first_epoch)
        super().__init__(setup, state, {"pretraining": list(pretraining)})
        self.network = network
        self.training = training
        self.validation = validation
        self.ngram_logits = ngram_logits
        self.prefetcher: Prefetcher | None = None
        is_16_bit = state.optimization.dtype is not None
        self.micro_batch_tokens = MICRO_BATCH_TOKENS[state.device.type] // (1 if is_16_bit else 2)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or ``patience`` epochs did not lower the validation loss."""
        history = self.state.history
        since_best = len(history) - best_epoch(history)
        return super().is_finished or since_best >= self.hyperparameters.patience

    @property
    def best_position(self) -> int:
        """Number of the best epoch among those of all stages; 0 for none."""
        best = best_epoch(self.state.history)
        return best and self.state.first_epoch + best

    def steps(self) -> Iterator[Step]:
        """The remaining steps of the current epoch."""
        # Seed and epoch determine the batches, so that no checkpoint has to contain them.
        generator = np.random.default_rng([self.hyperparameters.seed, len(self.state.history)])
        batches = training_batches(self.training.sequences, self.hyperparameters.batch_size, generator)
        batches = batches[self.state.batches_done :]
        shards = [self.process_group.shard(indices) for indices in batches]
        self.prefetcher = Prefetcher(self.training, shards, self.state.device)
        for indices, shard, batch in zip(batches, shards, self.prefetcher, strict=True):
            # Gradients are averaged over processes, so the loss of a larger shard needs a larger weight.
            weight = len(shard) * self.process_group.size / len(indices)
            yield Step(self.losses(batch, weight), len(indices))

    def losses(self, batch: DeviceBatch, weight: float) -> list[Callable[[], Tensor]]:
        """The losses of the micro-batches, whose sum is ``weight`` times the batch's mean loss."""
        scale = weight / len(batch.labels)
        return [partial(self._loss, part, scale) for part in batch.split(self.micro_batch_tokens)]

    def _loss(self, batch: DeviceBatch, scale: float) -> Tensor:
        logits = self.state.optimization.network(batch.ids, batch.lengths).float()
        return functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum") * scale

    def prefetch(self) -> None:
        """Pad the next batch and copy it to the device."""
        if self.prefetcher is not None:
            self.prefetcher.prefetch()

    def validate(self, stop: StopFlag) -> Mapping[str, float]:
        """Evaluate the sum of the n-gram model and the EMA weights, and keep these if they are the best."""
        state, labels, count = self.state, self.validation.labels, len(self.training.labels)
        network = cast(SentimentLSTM, state.ema_network)
        lstm_logits = evaluate_sharded(network, self.validation.sequences, self.process_group, stop)
        self.check_finite("validation", float(np.abs(lstm_logits).max()))
        logits = cross_fitted_sum(np.vstack([self.ngram_logits, lstm_logits]), labels, self.validation.groups)
        epoch = {
            "epoch": len(state.history) + 1,
            "train_loss": state.loss_sum / count,
            "validation_loss": log_loss(logits, labels),
            "validation_accuracy": float(((logits > 0) == (labels == 1)).mean()),
            "reviews_per_second": round(count / state.seconds),
        }
        if best_epoch([*state.history, epoch]) == epoch["epoch"]:
            state.keep_best(lstm_logits)
        elif epoch["epoch"] - best_epoch(state.history) == self.hyperparameters.patience:
            logger.info("no lower validation loss in %d epochs", self.hyperparameters.patience)
        return epoch

    def load_best(self) -> SentimentLSTM:
        """The network with the weights of the best epoch."""
        assert self.state.best is not None
        weights = {name: torch.from_numpy(array) for name, array in self.state.best.weights.items()}
        self.network.load_state_dict(weights)
        return self.network


def evaluate_sharded(
    network: SentimentLSTM, sequences: Sequences, process_group: ProcessGroup, stop: StopFlag
) -> NDArray[np.float32]:
    """[sequences] logits on every process; each process evaluates a shard.

    Raises:
        Stopped: a stop was requested on any process.
    """
    # Sorted by length, so that all shards take about the same time.
    indices = np.argsort(-sequences.lengths, kind="stable")[process_group.rank :: process_group.size]
    shard = process_group.run_interruptible(stop, lambda: evaluate(network, sequences.take(indices)))
    logits = np.empty(len(sequences), np.float32)
    logits[process_group.concatenate(indices)] = process_group.concatenate(shard)
    return logits
