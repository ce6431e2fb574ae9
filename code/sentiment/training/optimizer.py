"""AdamW with a learning-rate schedule, gradient clipping and mixed precision; the EMA of the weights."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from sentiment.hyperparameters import Hyperparameters
from sentiment.model.precision import DTYPES

# Fraction of all steps in which the learning rate rises.
_WARM_UP = 0.03


def lr_factor(step: int, total_steps: int, schedule: str) -> float:
    """Factor of the peak learning rate at a step, counted from 0.

    ``linear`` is a short warm-up and a linear decay to zero: the slanted triangular rate of Howard and Ruder
    (ACL 2018, section 3.2) with a shorter warm-up.
    """
    if schedule == "constant":
        return 1.0
    warm_up = max(1, int(total_steps * _WARM_UP))
    return min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / total_steps)


class Optimization:
    """The optimizer of a network; the precision in ``hyperparameters`` must not be ``auto``."""

    def __init__(self, network: nn.Module, hyperparameters: Hyperparameters, total_steps: int) -> None:
        self.network = network
        self.hyperparameters = hyperparameters
        self.total_steps = total_steps
        self.device = next(network.parameters()).device
        self.dtype = DTYPES.get(hyperparameters.precision)
        self.optimizer = torch.optim.AdamW(
            self._groups(),
            lr=hyperparameters.learning_rate,
            weight_decay=hyperparameters.weight_decay,
            fused=True,  # the other implementations take longer for the embedding than the LSTM does
        )
        # Without scaling, small gradients underflow in fp16: Micikevicius et al., ICLR 2018, section 3.2.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups: embeddings have a learning rate of their own and no weight decay.

        Decay would shrink the vectors of every word in every step, also of words that are not in the batch.
        """
        embeddings: list[nn.Parameter] = []
        weights: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            (embeddings if name.endswith("embedding.weight") else weights).append(parameter)
        scale = self.hyperparameters.embedding_lr_scale
        return [
            {"params": weights, "lr_scale": 1.0},
            {"params": embeddings, "lr_scale": scale, "weight_decay": 0.0},
        ]

    def step(self, losses: Sequence[Callable[[], Tensor]], number: int) -> Tensor:
        """Take one step, ``number`` counted from 0, down the sum of the losses of the micro-batches.

        Returns:
            [] the sum before the step, in nats; on a GPU not computed yet.
        """
        self.optimizer.zero_grad()
        total = torch.zeros((), device=self.device)
        for i, compute_loss in enumerate(losses, 1):
            with self._maybe_no_sync(is_last=i == len(losses)):
                with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
                    loss = compute_loss()
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.hyperparameters.max_grad_norm)
        factor = lr_factor(number, self.total_steps, self.hyperparameters.lr_schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = self.hyperparameters.learning_rate * factor * group["lr_scale"]
        self.scaler.step(self.optimizer)  # skips the step if a gradient overflowed
        self.scaler.update()
        return total

    def _maybe_no_sync(self, *, is_last: bool) -> AbstractContextManager[None]:
        """All-reduce gradients with the last micro-batch only: once a step, for any number of them."""
        if is_last or not isinstance(self.network, DistributedDataParallel):
            return nullcontext()
        return self.network.no_sync()

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's tensors by name."""
        state: dict[int, dict[str, Tensor]] = self.optimizer.state_dict()["state"]
        return {f"{i}.{name}": tensor for i, of in state.items() for name, tensor in of.items()}

    def values(self) -> dict[str, Any]:
        """The state of the loss scaler, JSON-serializable."""
        return self.scaler.state_dict()

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Restore a state from ``tensors`` and ``values``."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.scaler.load_state_dict(dict(values))


def new_ema(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average (EMA) of the network's weights.

    Averaging: Polyak and Juditsky, SIAM Journal on Control and Optimization 30 (1992).
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor | int) -> None:
        # A lower decay at first, or the random initial weights would dominate for long: the rule of
        # TensorFlow's ExponentialMovingAverage with num_updates.
        decay_now = min(decay, (1 + int(updates)) / (10 + int(updates)))
        torch._foreach_lerp_(list(averages), list(weights), 1 - decay_now)

    return AveragedModel(network, multi_avg_fn=update)
