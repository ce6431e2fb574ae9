"""The training loop: optimizer, schedule, early stopping, and going on after an interruption."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sentiment.batches import Examples, Sequences, training_batches
from sentiment.checkpoints import Checkpoint, Checkpoints, Position
from sentiment.errors import TrainingError
from sentiment.evaluation import log_loss
from sentiment.feed import Feed
from sentiment.history import Epoch, best_epoch
from sentiment.hyperparameters import Hyperparameters
from sentiment.model import SentimentLSTM, evaluate
from sentiment.optimization import Optimization
from sentiment.ranks import ALONE, Ranks
from sentiment.stop import Stop, Stopped

logger = logging.getLogger(__name__)


def set_up_torch(seed: int) -> None:
    """Make torch's results depend on the seed alone (on one machine, with one number of threads).

    Call it before the first tensor operation: threads that exist already keep their own treatment of
    denormal numbers, which are flushed to zero because they slow down CPUs by a factor.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    if not torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)


def fit(
    loop: "TrainingLoop",
    validation: Examples,
    stop: Stop,
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
        told = loop.ranks.any(stop.requested)
        if told or not loop.run_epoch(stop, checkpoints) or not loop.validate(validation, stop):
            loop.write(checkpoints)
            return False
        if best_epoch(loop.history) is loop.history[-1]:
            save_best()
        loop.write(checkpoints)
    return True


def evaluate_together(
    network: SentimentLSTM, sequences: Sequences, ranks: Ranks, stop: Stop
) -> NDArray[np.float32]:
    """[sequences] logits, on every rank; each sequence is evaluated by one of them.

    Raises:
        Stopped: any of the ranks was told to stop meanwhile.
    """
    if ranks.size == 1:
        return ranks.unless_stopped(stop, lambda: evaluate(network, sequences))
    # By length, so that all have about as much to do.
    mine = np.argsort(-sequences.lengths, kind="stable")[ranks.rank :: ranks.size]
    logits = ranks.unless_stopped(stop, lambda: evaluate(network, sequences.take(mine)))
    everybodys = np.empty(len(sequences), np.float32)
    everybodys[ranks.concatenate(mine)] = ranks.concatenate(logits)
    return everybodys


class TrainingLoop:
    """The optimizer and everything else that lives from step to step.

    Args:
        network: what to train.
        training: what it learns from.
        hyperparameters: how.
        made_with: what a checkpoint is to say of where it comes from.
        ranks: the processes that train together. Each takes its share of every batch.

    Attributes:
        history: the epochs that are over.
        written: how far the training was when a checkpoint was last written or read.
        best_weights: those after the epoch with the lowest validation loss, on the CPU.
        best_logits: [validation reviews], what they gave.
    """

    def __init__(
        self,
        network: SentimentLSTM,
        training: Examples,
        hyperparameters: Hyperparameters,
        made_with: Mapping[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.network = network
        self.training = training
        self.hyperparameters = hyperparameters
        self.made_with = {**(made_with or {}), "processes": ranks.size}
        self.ranks = ranks
        self.device = network.embedding.weight.device
        if ranks.rank > 0:
            torch.manual_seed(hyperparameters.seed + ranks.rank)  # so that every rank drops out others
        self.batches_an_epoch = -(-len(training.labels) // hyperparameters.batch_size)
        steps = hyperparameters.epochs * self.batches_an_epoch
        self.optimization = Optimization(ranks.parallel(network), hyperparameters, steps)
        self.generator = np.random.default_rng(hyperparameters.seed)
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self.best_logits = np.empty(0, np.float32)
        self._begin_epoch()
        self.written = self.position

    def _begin_epoch(self) -> None:
        # The epoch's batches come from this state of the generator, so that no checkpoint has to hold them.
        self._generator_before = self.generator.bit_generator.state
        self._batches_done = 0
        self._loss_sum = 0.0
        self._seconds = 0.0

    @property
    def position(self) -> Position:
        """How far the training is."""
        return Position(len(self.history), self._batches_done)

    @property
    def finished(self) -> bool:
        """Whether the last epoch is over, or ``patience`` epochs without a lower validation loss are."""
        if not self.history:
            return False
        since = len(self.history) - best_epoch(self.history).epoch
        return len(self.history) >= self.hyperparameters.epochs or since >= self.hyperparameters.patience

    def run_epoch(self, stop: Stop, checkpoints: Checkpoints) -> bool:
        """The rest of the current pass over the training reviews.

        Returns:
            False if it was stopped early, on any rank.

        Raises:
            TrainingError: the loss is no longer a finite number.
            OSError: a checkpoint cannot be written.
        """
        self.network.train()
        self.generator.bit_generator.state = self._generator_before
        batches = self.batches()[self._batches_done :]
        shares = [self.ranks.share(indices) for indices in batches]
        feed = Feed(self.training, shares, self.device)
        start = time.perf_counter()
        with self._progress() as progress:
            for indices, share, batch in zip(batches, shares, feed, strict=True):
                step = len(self.history) * self.batches_an_epoch + self._batches_done
                # The gradients of the ranks are averaged: those of larger shares have to count for more.
                weight = len(share) * self.ranks.size / len(indices)
                coming = self.optimization.step(batch, step, weight)
                feed.prepare_next()
                is_due = self.ranks.rank == 0 and checkpoints.due
                loss, (told, due) = self.ranks.agree(coming, stop.requested, is_due)
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
            disable=self.ranks.rank > 0 or not sys.stderr.isatty(),
        )

    def batches(self) -> list[NDArray[np.int64]]:
        """The next epoch's batches, as indices."""
        return training_batches(self.training.sequences, self.hyperparameters.batch_size, self.generator)

    def _check_finite(self, name: str, loss: float) -> None:
        if not np.isfinite(loss):
            raise TrainingError(
                f"the {name} loss is {loss} in epoch {len(self.history) + 1}\ntry a lower learning_rate "
                f"than {self.hyperparameters.learning_rate:g}, or a lower gradient_clip"
            )

    def validate(self, validation: Examples, stop: Stop) -> bool:
        """End the epoch with a validation; remember the weights if they are the best so far.

        Returns:
            False if it was stopped early, on any rank; then the epoch is not over.

        Raises:
            TrainingError: the loss is no finite number.
        """
        try:
            logits = evaluate_together(self.network, validation.sequences, self.ranks, stop)
        except Stopped:
            return False
        self._check_finite("validation", float(np.abs(logits).max()))
        loss = log_loss(logits, validation.labels)
        epoch = Epoch(
            len(self.history) + 1,
            self._loss_sum / len(self.training.labels),
            loss,
            float(((logits > 0) == (validation.labels == 1)).mean()),
            len(self.training.labels) / self._seconds,
        )
        logger.info("%s", epoch)
        self.history.append(epoch)
        if best_epoch(self.history) is epoch:
            weights = self.network.state_dict()
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
        if self.ranks.rank == 0:
            checkpoints.write(checkpoint, best_epoch(self.history).epoch if self.history else 0)
        self.written = self.position

    def checkpoint(self) -> Checkpoint:
        """All of the state; every rank has to ask for it, and gets the same."""
        optimization = self.optimization.tensors()
        tensors = {
            **{f"network.{name}": tensor for name, tensor in self.network.state_dict().items()},
            **{f"best.{name}": tensor for name, tensor in self.best_weights.items()},
            **{f"optimizer.{name}": tensor for name, tensor in optimization.items()},
            "best_logits": torch.from_numpy(self.best_logits),
        }
        for kind, state in self._random_states().items():
            states = self.ranks.gather(state.numpy())
            tensors |= {f"random.{rank}.{kind}": torch.tensor(found) for rank, found in enumerate(states)}
        values = {
            "history": self.history,
            "loss_sum": self._loss_sum,
            "seconds": self._seconds,
            "generator_before": self._generator_before,
            "scaler": self.optimization.values(),
        }
        return Checkpoint(self.position, self.made_with, tensors, values)

    def _random_states(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over the state of a training over the same data with the same hyperparameters.

        Raises:
            CheckpointError: it was made with other ones.
        """
        checkpoint.check(self.made_with)
        tensors, values = checkpoint.tensors, checkpoint.values
        self.network.load_state_dict(_below("network.", tensors))
        self.best_weights = _below("best.", tensors)
        self.best_logits = tensors["best_logits"].numpy()
        self.optimization.restore(_below("optimizer.", tensors), values["scaler"])
        random = _below(f"random.{self.ranks.rank}.", tensors)
        torch.set_rng_state(random["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self.device)
        self.history = [Epoch(*epoch) for epoch in values["history"]]
        self._batches_done = checkpoint.position.batches
        self._loss_sum = values["loss_sum"]
        self._seconds = values["seconds"]
        self._generator_before = values["generator_before"]
        self.written = self.position


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of the name."""
    return {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
