"""The training loop: epochs, validation, early stopping, checkpoints."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import TrainingError
from byoc.signals import StopFlag, Stopped
from sentiment.evaluation.metrics import log_loss
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.calibration import calibrate
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.text.batching import training_batches
from sentiment.text.sequences import Examples, Sequences
from sentiment.training.loader import Prefetcher, Targets
from sentiment.training.memory import keep_freed_memory
from sentiment.training.state import Epoch, TrainingState, best_epoch

logger = logging.getLogger(__name__)


class Trainer:
    """Trains a network, each process on a shard of every batch; the precision must not be ``auto``.

    Args:
        network: on its device.
        config: settings that a resumed job must share.
        constants: tensors to store in every checkpoint.

    Attributes:
        saved: position of the newest checkpoint; None forces the next ``save``.
    """

    def __init__(
        self,
        network: SentimentLSTM,
        targets: Targets,
        hyperparameters: Hyperparameters,
        process_group: ProcessGroup = SINGLE_PROCESS,
        config: Mapping[str, Any] | None = None,
        constants: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.targets = targets
        self.hyperparameters = hyperparameters
        self.process_group = process_group
        self.config = config or {}
        self.constants = constants or {}
        self.state = TrainingState(network, len(targets.sequences), hyperparameters, process_group)
        self.saved: Position | None = self.state.position

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or ``patience`` epochs did not lower the validation loss."""
        history = self.state.history
        if not history:
            return False
        since_best = len(history) - best_epoch(history).epoch
        return len(history) >= self.hyperparameters.epochs or since_best >= self.hyperparameters.patience

    def fit(
        self,
        validation: Examples,
        stop: StopFlag,
        checkpoints: Checkpoints,
        save_best: Callable[[], object],
    ) -> None:
        """Train until the last epoch or early stopping.

        Logs one line per epoch and shows a progress bar on a terminal. Calls ``save_best`` after every epoch
        that is the best so far. Writes a checkpoint after every epoch, when one is due, and before a stop.

        Raises:
            Stopped: a stop was requested on any process.
            TrainingError: a loss is not finite.
            OSError: a checkpoint cannot be written.
        """
        try:
            while not self.is_finished:
                if self.process_group.any(stop.requested):
                    raise Stopped
                self.train_epoch(stop, checkpoints)
                self.validate(validation, stop)
                if best_epoch(self.state.history) is self.state.history[-1]:
                    save_best()
                self.save(checkpoints)
        except Stopped:
            self.save(checkpoints)
            raise

    def train_epoch(self, stop: StopFlag, checkpoints: Checkpoints) -> None:
        """The remaining steps of the current epoch.

        Raises:
            Stopped: a stop was requested on any process; the step in progress is complete.
            TrainingError: the loss is not finite.
            OSError: a checkpoint cannot be written.
        """
        state = self.state
        if state.device.type == "cpu":
            keep_freed_memory()  # only here: the memory of the warm start is not needed again
        state.network.train()
        state.generator.bit_generator.state = state.epoch_generator_state
        batches = self.batches()[state.batches_done :]
        shards = [self.process_group.shard(indices) for indices in batches]
        prefetcher = Prefetcher(self.targets, shards, state.device)
        start = time.perf_counter()
        with self._progress_bar() as progress_bar:
            for indices, shard, batch in zip(batches, shards, prefetcher, strict=True):
                # Gradients are averaged over processes, so the loss of a larger shard needs a larger weight.
                weight = len(shard) * self.process_group.size / len(indices)
                shard_loss = state.optimization.step(batch, state.step, weight)
                state.ema.update_parameters(state.network)
                prefetcher.prefetch()
                is_due = self.process_group.rank == 0 and checkpoints.due
                loss, (is_stopped, is_due) = self.process_group.all_reduce_mean(
                    shard_loss, stop.requested, is_due
                )
                self._check_finite("training", loss)
                state.loss_sum += loss * len(indices)
                state.batches_done += 1
                state.seconds += time.perf_counter() - start
                progress_bar.update()
                if is_due:
                    self.save(checkpoints)
                if is_stopped:
                    raise Stopped
                start = time.perf_counter()

    def batches(self) -> list[NDArray[np.int64]]:
        """Indices of the batches of the next epoch."""
        return training_batches(self.targets.sequences, self.hyperparameters.batch_size, self.state.generator)

    def _progress_bar(self) -> "tqdm[NoReturn]":
        return tqdm(
            desc=f"epoch {len(self.state.history) + 1}/{self.hyperparameters.epochs}",
            unit="batch",
            initial=self.state.batches_done,
            total=self.state.batches_per_epoch,
            leave=False,
            disable=self.process_group.rank > 0 or not sys.stderr.isatty(),
        )

    def _check_finite(self, name: str, loss: float) -> None:
        if not np.isfinite(loss):
            raise TrainingError(
                f"the {name} loss is {loss} in epoch {len(self.state.history) + 1}\nuse a learning_rate "
                f"below {self.hyperparameters.learning_rate:g} or a lower max_grad_norm"
            )

    def validate(self, validation: Examples, stop: StopFlag) -> None:
        """End the epoch: evaluate the EMA weights, and calibrate and keep them if they are the best so far.

        Raises:
            Stopped: a stop was requested on any process; the epoch is not finished.
            TrainingError: the loss is not finite.
        """
        state, review_count = self.state, len(self.targets.sequences)
        logits = evaluate_sharded(state.ema_network, validation.sequences, self.process_group, stop)
        self._check_finite("validation", float(np.abs(logits).max()))
        epoch = Epoch(
            epoch=len(state.history) + 1,
            train_loss=state.loss_sum / review_count,
            validation_loss=log_loss(logits, validation.labels),
            validation_accuracy=float(((logits > 0) == (validation.labels == 1)).mean()),
            reviews_per_second=review_count / state.seconds,
        )
        logger.info("%s", epoch)
        state.history.append(epoch)
        if best_epoch(state.history) is epoch:
            state.best = calibrate(state.ema_network.state_dict(), logits, validation.labels)
        state.begin_epoch()
        if self.is_finished and epoch.epoch < self.hyperparameters.epochs:
            patience = self.hyperparameters.patience
            logger.info("stopped early: no lower validation loss in %d epochs", patience)

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint on rank 0, unless the newest one has this position.

        Raises:
            OSError: it cannot be written.
        """
        state = self.state
        if state.position == self.saved:
            return
        checkpoint = state.to_checkpoint(self.config, self.constants)
        if self.process_group.rank == 0:
            checkpoints.write(checkpoint, best_epoch(state.history).epoch if state.history else 0)
        self.saved = state.position

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint of the same configuration."""
        self.state.restore(checkpoint)
        self.saved = self.state.position


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
