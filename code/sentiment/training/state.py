"""The state of a training between two steps: in memory, as a checkpoint, and back."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from byoc.checkpoints import Checkpoint, Position
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM
from sentiment.training.history import Epoch
from sentiment.training.loader import Targets
from sentiment.training.optimizer import Optimization, new_ema
from sentiment.training.warm_start import HeadStart

# What the names of its tensors begin with.
_HEAD_START = "head_start."


def head_start_of(checkpoint: Checkpoint) -> HeadStart:
    """What a training began with that goes on from a checkpoint."""
    found = _below(_HEAD_START, checkpoint.tensors)
    return HeadStart.from_tensors({name: tensor.numpy() for name, tensor in found.items()})


class TrainingState:
    """The optimizer and everything else that lives from step to step.

    Args:
        network: what to train.
        training: what it learns from.
        hyperparameters: how.
        made_with: what a checkpoint is to say of where it comes from.
        process_group: the processes that train together. Each takes its share of every batch.
        head_start: what the training began with, for whoever goes on from a checkpoint.

    Attributes:
        history: the epochs that are over.
        written: how far the training was when a checkpoint was last written or read; None where it is due.
        ema: moving average of the network's weights, which is validated and deployed.
        best_weights: EMA weights after the epoch with the lowest validation loss, on the CPU.
        best_logits: [validation reviews], what they gave.
    """

    def __init__(
        self,
        network: SentimentLSTM,
        training: Targets,
        hyperparameters: Hyperparameters,
        made_with: Mapping[str, Any] | None = None,
        process_group: ProcessGroup = SINGLE_PROCESS,
        head_start: HeadStart | None = None,
    ) -> None:
        self.network = network
        self.training = training
        self.head_start = head_start or HeadStart([], training.probabilities)
        self.hyperparameters = hyperparameters
        self.made_with = made_with or {}
        self.process_group = process_group
        self.device = network.embedding.weight.device
        if process_group.rank > 0:
            torch.manual_seed(
                hyperparameters.seed + process_group.rank
            )  # so that every rank drops out others
        self.batches_an_epoch = -(-len(training.sequences) // hyperparameters.batch_size)
        steps = hyperparameters.epochs * self.batches_an_epoch
        network.embedding.requires_grad_(hyperparameters.embedding_lr_scale > 0)
        self.ema = new_ema(network, hyperparameters.ema_decay)
        self.optimization = Optimization(process_group.data_parallel(network), hyperparameters, steps)
        self.generator = np.random.default_rng(hyperparameters.seed)
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self.best_logits = np.empty(0, np.float32)
        self._begin_epoch()
        self.written: Position | None = self.position

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
    def ema_network(self) -> SentimentLSTM:
        """The network with the EMA weights."""
        return cast(SentimentLSTM, self.ema.module)

    def checkpoint(self) -> Checkpoint:
        """All of the state; every rank has to ask for it, and gets the same."""
        optimization = self.optimization.tensors()
        tensors = {
            **{f"network.{name}": tensor for name, tensor in self.network.state_dict().items()},
            **{f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()},
            **{f"best.{name}": tensor for name, tensor in self.best_weights.items()},
            **{f"optimizer.{name}": tensor for name, tensor in optimization.items()},
            **{f"{_HEAD_START}{name}": torch.tensor(array) for name, array in self.head_start.kept().items()},
            "best_logits": torch.from_numpy(self.best_logits),
        }
        for kind, state in self._random_states().items():
            states = self.process_group.all_gather(state.numpy())
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
        self.ema.load_state_dict(_below("ema.", tensors))
        self.best_weights = _below("best.", tensors)
        self.best_logits = tensors["best_logits"].numpy()
        self.optimization.restore(_below("optimizer.", tensors), values["scaler"])
        random = _below(f"random.{self.process_group.rank}.", tensors)
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
