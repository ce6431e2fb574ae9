"""The state of a training stage between two steps, in memory and as a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from byoc.checkpoints import Checkpoint, Position
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from sentiment.hyperparameters import Hyperparameters
from sentiment.training.optimizer import Optimization, new_ema


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings that the stages of a job share; the precision must not be ``auto``.

    ``config`` holds the settings that a resumed job must share.
    """

    hyperparameters: Hyperparameters
    process_group: ProcessGroup = SINGLE_PROCESS
    config: Mapping[str, Any] = field(default_factory=dict)


class BestModel(NamedTuple):
    """EMA weights of the best epoch by name, and their [reviews] validation logits."""

    weights: dict[str, NDArray[np.float32]]
    logits: NDArray[np.float32]


class TrainingState:
    """Weights, optimizer, random states and progress.

    Attributes:
        ema: moving average of the network's weights; None with ``ema_decay=0``.
        history: results of the finished epochs, JSON-serializable.
        best: the model of the best epoch; None before the first validation.
        carried: tensors that this process, but no other, carries over to the next step; their first
            dimensions may differ between processes.
        loss_sum: sum of the losses of this epoch's examples.
        seconds: time spent in this epoch's steps.
    """

    def __init__(self, network: nn.Module, batches: int, setup: Setup, first_epoch: int = 0) -> None:
        hyperparameters, self.process_group = setup.hyperparameters, setup.process_group
        self.network = network
        self.device = next(network.parameters()).device
        # Different dropout on each rank; the same in a job that resumes between two stages.
        torch.manual_seed(hyperparameters.seed + self.process_group.rank)
        self.batches_per_epoch = batches
        self.first_epoch = first_epoch
        self.ema = new_ema(network, hyperparameters.ema_decay) if hyperparameters.ema_decay else None
        parallel = self.process_group.data_parallel(network)
        self.optimization = Optimization(parallel, hyperparameters, hyperparameters.epochs * batches)
        self.history: list[Mapping[str, float]] = []
        self.best: BestModel | None = None
        self.carried: dict[str, Tensor] = {}
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Reset the progress within the epoch."""
        self.batches_done = 0
        self.loss_sum = 0.0
        self.seconds = 0.0

    @property
    def position(self) -> Position:
        """The progress of training, where the epochs of earlier stages count."""
        return Position(self.first_epoch + len(self.history), self.batches_done)

    @property
    def step(self) -> int:
        """Number of the next step, counted from 0."""
        return len(self.history) * self.batches_per_epoch + self.batches_done

    @property
    def ema_network(self) -> nn.Module:
        """The network with the EMA weights."""
        return self.network if self.ema is None else self.ema.module

    def keep_best(self, logits: NDArray[np.float32]) -> None:
        """Keep the EMA weights and their validation logits."""
        weights = self.ema_network.state_dict().items()
        self.best = BestModel({name: w.to("cpu", copy=True).numpy() for name, w in weights}, logits)

    def to_checkpoint(self, config: Mapping[str, Any], values: Mapping[str, Any]) -> Checkpoint:
        """The state as a checkpoint; every process must call this and gets the same.

        ``config`` holds the settings that a resumed job must share, ``values`` further values to store.
        """
        tensors = {
            **{f"network.{name}": tensor for name, tensor in self.network.state_dict().items()},
            **{f"optimizer.{name}": tensor for name, tensor in self.optimization.tensors().items()},
        }
        progress = {
            "history": self.history,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "scaler": self.optimization.values(),
        }
        if self.ema is not None:
            tensors |= {f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()}
        if self.best is not None:
            tensors |= {f"best.{name}": torch.from_numpy(array) for name, array in self.best.weights.items()}
            tensors["best_logits"] = torch.from_numpy(self.best.logits)
        for name, tensor in {**self._random_states(), **self.carried}.items():
            arrays = self.process_group.all_gather(tensor.cpu().numpy())
            tensors |= {f"process.{rank}.{name}": torch.tensor(array) for rank, array in enumerate(arrays)}
        return Checkpoint(self.position, config, tensors, {**values, **progress})

    def _random_states(self) -> dict[str, Tensor]:
        states = {"random.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a job with the same data and hyperparameters."""
        tensors, values = checkpoint.tensors, checkpoint.values
        self.network.load_state_dict(with_prefix("network.", tensors))
        if self.ema is not None:
            self.ema.load_state_dict(with_prefix("ema.", tensors))
        self.optimization.restore(with_prefix("optimizer.", tensors), values["scaler"])
        carried = with_prefix(f"process.{self.process_group.rank}.", tensors)
        torch.set_rng_state(carried.pop("random.cpu"))
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(carried.pop("random.cuda"), self.device)
        self.carried = {name: tensor.to(self.device) for name, tensor in carried.items()}
        self.history = values["history"]
        if "best_logits" in tensors:
            weights = {name: tensor.numpy() for name, tensor in with_prefix("best.", tensors).items()}
            self.best = BestModel(weights, tensors["best_logits"].numpy())
        self.batches_done = checkpoint.position.batches
        self.loss_sum = values["loss_sum"]
        self.seconds = values["seconds"]


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with the prefix, without it."""
    return {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
