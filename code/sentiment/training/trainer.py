"""The training loop that both stages share: epochs, steps, stops, checkpoints."""

import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
from torch import Tensor
from tqdm import tqdm

from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.errors import TrainingError
from byoc.job import format_metrics
from byoc.signals import StopFlag, Stopped
from sentiment.training.malloc import keep_freed_memory
from sentiment.training.state import Setup, TrainingState

logger = logging.getLogger(__name__)


class Step(NamedTuple):
    """The work of one optimizer step on this process."""

    losses: list[Callable[[], Tensor]]  # of the micro-batches; the step goes down their sum
    examples: int  # of all processes


class Trainer(ABC):
    """Trains a network, each process on a shard of every batch.

    Args:
        setup: with the hyperparameters of this stage.
        state: with a network on its device.
        values: JSON-serializable values to store in every checkpoint.

    Attributes:
        stage: name of the stage in checkpoints and messages.
        rate: name of the hyperparameter that holds its learning rate.
        saved: position of the newest checkpoint.
    """

    stage: str
    rate: str

    def __init__(self, setup: Setup, state: TrainingState, values: Mapping[str, Any] | None = None) -> None:
        self.state = state
        self.hyperparameters = setup.hyperparameters
        self.process_group = setup.process_group
        self.config = setup.config
        self.values = {**(values or {}), "stage": self.stage}
        self.saved: Position = state.position

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.state.history) >= self.hyperparameters.epochs

    @abstractmethod
    def steps(self) -> Iterator[Step]:
        """The remaining steps of the current epoch."""

    def prefetch(self) -> None:  # noqa: B027 (a stage whose batches are cheap to make needs none)
        """Prepare the next step while a GPU computes."""

    @abstractmethod
    def validate(self, stop: StopFlag) -> Mapping[str, float]:
        """Results of the epoch whose steps are done.

        Raises:
            Stopped: a stop was requested on any process; the epoch is not finished.
            TrainingError: the loss is not finite.
        """

    def fit(
        self, stop: StopFlag, checkpoints: Checkpoints, after_epoch: Callable[[], object] = lambda: None
    ) -> None:
        """Train until the stage is finished.

        Logs one line per epoch and shows a progress bar on a terminal. Writes a checkpoint after every epoch,
        when one is due, and before a stop.

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
                epoch = self.validate(stop)
                logger.info("%s", format_metrics(**epoch))
                self.state.history.append(epoch)
                self.state.begin_epoch()
                after_epoch()
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
            keep_freed_memory()  # only here: the memory of earlier work is not needed again
        state.network.train()
        start = time.perf_counter()
        with self._progress_bar() as progress_bar:
            for step in self.steps():
                shard_loss = state.optimization.step(step.losses, state.step)
                if state.ema is not None:
                    state.ema.update_parameters(state.network)
                self.prefetch()
                is_due = self.process_group.rank == 0 and checkpoints.due
                loss, (is_stopped, is_due) = self.process_group.all_reduce_mean(
                    shard_loss, stop.requested, is_due
                )
                self.check_finite("training", loss)
                state.loss_sum += loss * step.examples
                state.batches_done += 1
                state.seconds += time.perf_counter() - start
                progress_bar.update()
                if is_due:
                    self.save(checkpoints)
                if is_stopped:
                    raise Stopped
                start = time.perf_counter()

    def _progress_bar(self) -> "tqdm[NoReturn]":
        return tqdm(
            desc=f"{self.stage}, epoch {len(self.state.history) + 1}/{self.hyperparameters.epochs}",
            unit="batch",
            initial=self.state.batches_done,
            total=self.state.batches_per_epoch,
            leave=False,
            disable=self.process_group.rank > 0 or not sys.stderr.isatty(),
        )

    def check_finite(self, name: str, loss: float) -> None:
        """Raise TrainingError unless a loss is finite."""
        if not np.isfinite(loss):
            raise TrainingError(
                f"the {name} loss is {loss} in epoch {len(self.state.history) + 1} of {self.stage}\n"
                f"use a {self.rate} below {self.hyperparameters.learning_rate:g} or a lower max_grad_norm"
            )

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint on rank 0, unless the newest one has this position.

        Raises:
            OSError: it cannot be written.
        """
        if self.state.position == self.saved:
            return
        checkpoint = self.state.to_checkpoint(self.config, self.values)
        if self.process_group.rank == 0:
            checkpoints.write(checkpoint, self.best_position)
        self.saved = self.state.position

    @property
    def best_position(self) -> int:
        """Number of the epoch whose checkpoint is worth keeping; 0 for none."""
        return 0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint of the same configuration."""
        self.state.restore(checkpoint)
        self.saved = self.state.position
