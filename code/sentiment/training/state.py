"""The state of training between two steps, in memory and as a checkpoint."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from byoc.checkpoints import Checkpoint, Position
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.job import format_metrics
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.calibration import CalibratedModel
from sentiment.model.network import SentimentLSTM
from sentiment.training.optimizer import Optimization, new_ema


class Epoch(NamedTuple):
    """Results of one epoch. Losses are mean log losses in nats."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    reviews_per_second: float

    def __str__(self) -> str:
        """One line for people and for SageMaker's metric definitions."""
        return format_metrics(**self._asdict() | {"reviews_per_second": round(self.reviews_per_second)})


def best_epoch(history: list[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss, the first among equals."""
    return min(history, key=lambda epoch: epoch.validation_loss)


class TrainingState:
    """Weights, optimizer, random states and progress.

    Attributes:
        ema: moving average of the network's weights, which is validated and deployed.
        history: finished epochs.
        best: the calibrated model of the best epoch; None before the first validation.
        loss_sum: sum of the losses of this epoch's reviews.
        seconds: time spent in this epoch's steps.
    """

    def __init__(
        self,
        network: SentimentLSTM,
        review_count: int,
        hyperparameters: Hyperparameters,
        process_group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.network = network
        self.process_group = process_group
        self.device = network.embedding.weight.device
        if process_group.rank > 0:
            torch.manual_seed(hyperparameters.seed + process_group.rank)  # different dropout on each rank
        self.batches_per_epoch = -(-review_count // hyperparameters.batch_size)
        total_steps = hyperparameters.epochs * self.batches_per_epoch
        network.embedding.requires_grad_(hyperparameters.embedding_lr_scale > 0)
        self.ema = new_ema(network, hyperparameters.ema_decay)
        self.optimization = Optimization(process_group.data_parallel(network), hyperparameters, total_steps)
        self.generator = np.random.default_rng(hyperparameters.seed)
        self.history: list[Epoch] = []
        self.best: CalibratedModel | None = None
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Reset the progress within the epoch."""
        # The batches of the epoch follow from this state, so that no checkpoint has to contain them.
        self.epoch_generator_state = self.generator.bit_generator.state
        self.batches_done = 0
        self.loss_sum = 0.0
        self.seconds = 0.0

    @property
    def position(self) -> Position:
        """The progress of training."""
        return Position(len(self.history), self.batches_done)

    @property
    def step(self) -> int:
        """Number of the next step, counted from 0."""
        return len(self.history) * self.batches_per_epoch + self.batches_done

    @property
    def ema_network(self) -> SentimentLSTM:
        """The network with the EMA weights."""
        return cast(SentimentLSTM, self.ema.module)

    def load_best(self) -> SentimentLSTM:
        """The network with the calibrated weights of the best epoch."""
        assert self.best is not None
        weights = {name: torch.from_numpy(array) for name, array in self.best.weights.items()}
        self.network.load_state_dict(weights)
        return self.network

    def to_checkpoint(self, config: Mapping[str, Any], constants: Mapping[str, Tensor]) -> Checkpoint:
        """The state as a checkpoint; every process must call this and gets the same.

        ``config`` holds the settings that a resumed job must share, ``constants`` further tensors to store.
        """
        tensors = {
            **{f"network.{name}": tensor for name, tensor in self.network.state_dict().items()},
            **{f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()},
            **{f"optimizer.{name}": tensor for name, tensor in self.optimization.tensors().items()},
            **constants,
        }
        values = {
            "history": self.history,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "epoch_generator_state": self.epoch_generator_state,
            "scaler": self.optimization.values(),
        }
        if self.best is not None:
            tensors |= {f"best.{name}": torch.from_numpy(array) for name, array in self.best.weights.items()}
            tensors["best_logits"] = torch.from_numpy(self.best.logits)
            values["temperature"] = self.best.temperature
        for device, state in self._random_states().items():
            states = self.process_group.all_gather(state.numpy())
            tensors |= {f"random.{rank}.{device}": torch.tensor(array) for rank, array in enumerate(states)}
        return Checkpoint(self.position, config, tensors, values)

    def _random_states(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a job with the same data and hyperparameters."""
        tensors, values = checkpoint.tensors, checkpoint.values
        self.network.load_state_dict(with_prefix("network.", tensors))
        self.ema.load_state_dict(with_prefix("ema.", tensors))
        self.optimization.restore(with_prefix("optimizer.", tensors), values["scaler"])
        random_states = with_prefix(f"random.{self.process_group.rank}.", tensors)
        torch.set_rng_state(random_states["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(random_states["cuda"], self.device)
        self.history = [Epoch(*epoch) for epoch in values["history"]]
        if self.history:
            weights = {name: tensor.numpy() for name, tensor in with_prefix("best.", tensors).items()}
            self.best = CalibratedModel(weights, tensors["best_logits"].numpy(), values["temperature"])
        self.batches_done = checkpoint.position.batches
        self.loss_sum = values["loss_sum"]
        self.seconds = values["seconds"]
        self.epoch_generator_state = values["epoch_generator_state"]


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with the prefix, without it."""
    return {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
