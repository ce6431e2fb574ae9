"""The training loop: optimizer, schedule, early stopping, and going on after an interruption."""

import logging
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from byoc.checkpoints import Checkpoints
from byoc.distributed.process_group import ProcessGroup
from byoc.errors import TrainingError
from byoc.signals import StopFlag, Stopped
from sentiment.evaluation.metrics import log_loss
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.text.batching import training_batches
from sentiment.text.sequences import Examples, Sequences
from sentiment.training.history import Epoch, best_epoch
from sentiment.training.loader import Prefetcher
from sentiment.training.memory import keep_freed_memory
from sentiment.training.state import TrainingState

logger = logging.getLogger(__name__)


def set_up_torch(seed: int) -> None:
    """Make torch's results depend on the seed alone (on one machine with CPUs, with one number of threads).

    Call it before the first tensor operation: threads that exist already keep their own treatment of
    denormal numbers, which are flushed to zero because they slow down CPUs by a factor.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        return
    torch.use_deterministic_algorithms(True)
    # It would fill all new memory, for programs that read what they never wrote: a fifth of a step's time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def fit(
    loop: "TrainingLoop",
    validation: Examples,
    stop: StopFlag,
    checkpoints: Checkpoints,
    save_best: Callable[[], object],
) -> bool:
    """Train to the last epoch, or until ``patience`` epochs have brought no lower validation loss.

    Logs one line an epoch, and shows a progress bar where a person watches. Writes checkpoints after every
    epoch and when they are due.

    Args:
        loop: the training, at its beginning or restored.
        validation: what decides which epoch is the best.
        stop: ends the training early, between two steps or in a validation.
        checkpoints: where they go.
        save_best: called after each epoch that is the best so far.

    Returns:
        False if it was stopped early. Then the state is in a checkpoint, if a step was made.

    Raises:
        TrainingError: a loss is no longer a finite number.
        OSError: a checkpoint cannot be written.
    """
    while not loop.finished:
        told = loop.process_group.any(stop.requested)
        if told or not loop.run_epoch(stop, checkpoints) or not loop.validate(validation, stop):
            loop.write(checkpoints)
            return False
        if best_epoch(loop.history) is loop.history[-1]:
            save_best()
        loop.write(checkpoints)
    return True


def evaluate_together(
    network: SentimentLSTM, sequences: Sequences, process_group: ProcessGroup, stop: StopFlag
) -> NDArray[np.float32]:
    """[sequences] logits, on every rank; each sequence is evaluated by one of them.

    Raises:
        Stopped: any of the ranks was told to stop meanwhile.
    """
    if process_group.size == 1:
        return process_group.run_interruptible(stop, lambda: evaluate(network, sequences))
    # By length, so that all have about as much to do.
    mine = np.argsort(-sequences.lengths, kind="stable")[process_group.rank :: process_group.size]
    logits = process_group.run_interruptible(stop, lambda: evaluate(network, sequences.take(mine)))
    everybodys = np.empty(len(sequences), np.float32)
    everybodys[process_group.concatenate(mine)] = process_group.concatenate(logits)
    return everybodys


class TrainingLoop(TrainingState):
    """A training from step to step; the arguments are its state's."""

    @property
    def finished(self) -> bool:
        """Whether the last epoch is over, or ``patience`` epochs without a lower validation loss are."""
        if not self.history:
            return False
        since = len(self.history) - best_epoch(self.history).epoch
        return len(self.history) >= self.hyperparameters.epochs or since >= self.hyperparameters.patience

    def run_epoch(self, stop: StopFlag, checkpoints: Checkpoints) -> bool:
        """The rest of the current pass over the training reviews.

        Returns:
            False if it was stopped early, on any rank.

        Raises:
            TrainingError: the loss is no longer a finite number.
            OSError: a checkpoint cannot be written.
        """
        if self.device.type == "cpu":
            keep_freed_memory()  # that of the steps alone: what came before does not come again
        self.network.train()
        self.generator.bit_generator.state = self._generator_before
        batches = self.batches()[self._batches_done :]
        shares = [self.process_group.shard(indices) for indices in batches]
        prefetcher = Prefetcher(self.training, shares, self.device)
        start = time.perf_counter()
        with self._progress() as progress:
            for indices, share, batch in zip(batches, shares, prefetcher, strict=True):
                step = len(self.history) * self.batches_an_epoch + self._batches_done
                # The gradients of the ranks are averaged: those of larger shares have to count for more.
                weight = len(share) * self.process_group.size / len(indices)
                coming = self.optimization.step(batch, step, weight)
                self.ema.update_parameters(self.network)
                prefetcher.prefetch()
                is_due = self.process_group.rank == 0 and checkpoints.due
                loss, (told, due) = self.process_group.all_reduce_mean(coming, stop.requested, is_due)
                self._check_finite("training", loss)
                self._loss_sum += loss * len(indices)
                self._batches_done += 1
                self._seconds += time.perf_counter() - start
                progress.update()
                if due:
                    self.write(checkpoints)
                if told:
                    return False
                start = time.perf_counter()
        return True

    def _progress(self) -> "tqdm[NoReturn]":
        return tqdm(
            desc=f"epoch {len(self.history) + 1}/{self.hyperparameters.epochs}",
            unit="batch",
            initial=self._batches_done,
            total=self.batches_an_epoch,
            leave=False,
            disable=self.process_group.rank > 0 or not sys.stderr.isatty(),
        )

    def batches(self) -> list[NDArray[np.int64]]:
        """The next epoch's batches, as indices."""
        return training_batches(self.training.sequences, self.hyperparameters.batch_size, self.generator)

    def _check_finite(self, name: str, loss: float) -> None:
        if not np.isfinite(loss):
            raise TrainingError(
                f"the {name} loss is {loss} in epoch {len(self.history) + 1}\ntry a lower learning_rate "
                f"than {self.hyperparameters.learning_rate:g}, or a lower max_grad_norm"
            )

    def validate(self, validation: Examples, stop: StopFlag) -> bool:
        """End the epoch with a validation; remember the weights if they are the best so far.

        Returns:
            False if it was stopped early, on any rank; then the epoch is not over.

        Raises:
            TrainingError: the loss is no finite number.
        """
        try:
            logits = evaluate_together(self.ema_network, validation.sequences, self.process_group, stop)
        except Stopped:
            return False
        self._check_finite("validation", float(np.abs(logits).max()))
        loss = log_loss(logits, validation.labels)
        epoch = Epoch(
            len(self.history) + 1,
            self._loss_sum / len(self.training.sequences),
            loss,
            float(((logits > 0) == (validation.labels == 1)).mean()),
            len(self.training.sequences) / self._seconds,
        )
        logger.info("%s", epoch)
        self.history.append(epoch)
        if best_epoch(self.history) is epoch:
            weights = self.ema_network.state_dict()
            self.best_weights = {name: weight.to("cpu", copy=True) for name, weight in weights.items()}
            self.best_logits = logits
        self._begin_epoch()
        if self.finished and epoch.epoch < self.hyperparameters.epochs:
            patience = self.hyperparameters.patience
            logger.info("stopped early: no lower validation loss in %d epochs", patience)
        return True

    def write(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint, unless there is one of the same state; rank 0 does it for all.

        Raises:
            OSError: it cannot be written.
        """
        if self.position == self.written:
            return
        checkpoint = self.checkpoint()
        if self.process_group.rank == 0:
            checkpoints.write(checkpoint, best_epoch(self.history).epoch if self.history else 0)
        self.written = self.position
