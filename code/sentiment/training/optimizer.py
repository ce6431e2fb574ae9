"""One optimizer step after the other: AdamW, its schedule, and the precision of the arithmetic."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from sentiment.hyperparameters import Hyperparameters
from sentiment.model.precision import DTYPES
from sentiment.training.loader import Prepared

# Fraction of all steps in which the learning rate rises.
_WARM_UP = 0.03
# Words, padding included, that gradients are computed of at a time in numbers of two bytes; of four, half
# as many. Longer batches are taken in parts, or the longest of all would decide what memory a job needs.
PART_WORDS = {"cpu": 24_000, "cuda": 500_000}


def lr_factor(step: int, total_steps: int, schedule: str) -> float:
    """Factor of the peak learning rate at a step, counted from 0.

    ``linear`` is a short warm-up and a linear decay to zero: the slanted triangular rate of Howard and Ruder
    (ACL 2018, section 3.2) with a shorter warm-up.
    """
    if schedule == "constant":
        return 1.0
    warm_up = max(1, int(total_steps * _WARM_UP))
    return min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / total_steps)


def parted(batch: Prepared, most: int) -> list[Prepared]:
    """A batch, or parts of it with at most so many words each, padding included, if a review has not more."""
    rows = max(1, most // batch.ids.shape[1])
    starts = range(0, len(batch.ids), rows)
    return [Prepared(*(tensor[start : start + rows] for tensor in batch)) for start in starts]


class Optimization:
    """The optimizer of a network.

    Args:
        network: takes ids and lengths, gives logits.
        hyperparameters: learning rate, weight decay, gradient clip, and a precision that is not ``auto``.
        steps: how many there will be in all.
    """

    def __init__(self, network: nn.Module, hyperparameters: Hyperparameters, steps: int) -> None:
        self.network = network
        self.hyperparameters = hyperparameters
        self.steps = steps
        self.device = next(network.parameters()).device
        self.dtype = DTYPES.get(hyperparameters.precision)
        self.optimizer = torch.optim.AdamW(
            self._groups(),
            lr=hyperparameters.learning_rate,
            weight_decay=hyperparameters.weight_decay,
            fused=True,  # the others spend longer on the embedding than the LSTM takes
        )
        # The small gradients of fp16 would be zero: Micikevicius et al., ICLR 2018, section 3.2.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def _groups(self) -> list[dict[str, Any]]:
        """The parameters that learn, word vectors apart; each group with its share of the learning rate.

        Vectors do not decay: a step would change those of all words, also of those that it has not read, and
        the n-gram scores in them.
        """
        vectors: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                (vectors if name.endswith("embedding.weight") else others).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": others, "share": 1.0},
            {"params": vectors, "share": self.hyperparameters.embedding_lr_scale, "weight_decay": 0.0},
        ]
        return groups if vectors else groups[:1]

    @property
    def part_words(self) -> int:
        """Words, padding included, that gradients are computed of at a time."""
        return PART_WORDS[self.device.type] // (2 if self.dtype is None else 1)

    def step(self, batch: Prepared, number: int, weight: float = 1.0) -> Tensor:
        """One step.

        Args:
            batch: what to learn from.
            number: of the step, counted from 0.
            weight: factor of the loss.

        Returns:
            [] the batch's mean loss before the step, in nats, times the weight. On a GPU it is not there yet.
        """
        self.optimizer.zero_grad()
        parts = parted(batch, self.part_words)
        loss = torch.zeros((), device=self.device)
        for part in parts:
            with self._gathering(is_last=part is parts[-1]):
                loss += self._add_gradients(part, weight * len(part.targets) / len(batch.targets))
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.hyperparameters.max_grad_norm)
        share = lr_factor(number, self.steps, self.hyperparameters.lr_schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = self.hyperparameters.learning_rate * share * group["share"]
        self.scaler.step(self.optimizer)  # not where a gradient overflowed
        self.scaler.update()
        return loss

    def _gathering(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Where a part's gradients come from: those of all processes come together with the last part's.

        So it is once a step, however many parts each process has.
        """
        if is_last or not isinstance(self.network, DistributedDataParallel):
            return nullcontext()
        return self.network.no_sync()

    def _add_gradients(self, part: Prepared, weight: float) -> Tensor:
        """[] the mean loss of a part, times the weight, whose gradients are added to what there is."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            logits = self.network(part.ids, part.lengths, part.ngram_scores)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), part.targets) * weight
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def tensors(self) -> dict[str, Tensor]:
        """The state that tensors hold, by name."""
        state: dict[int, dict[str, Tensor]] = self.optimizer.state_dict()["state"]
        return {f"{i}.{name}": tensor for i, of in state.items() for name, tensor in of.items()}

    def values(self) -> dict[str, Any]:
        """The rest of the state, as JSON can hold it."""
        return self.scaler.state_dict()

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take over a state."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.scaler.load_state_dict(dict(values))


def new_ema(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average (EMA) of the network's weights; with decay 0 it equals the network.

    Averaging: Polyak and Juditsky, SIAM Journal on Control and Optimization 30 (1992).
    """
    return AveragedModel(network, multi_avg_fn=_ema_update(decay))


def _ema_update(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor | int) -> None:
        # A lower decay at first, or the random initial weights would dominate for long: the rule of
        # TensorFlow's ExponentialMovingAverage with num_updates.
        decay_now = min(decay, (1 + int(updates)) / (10 + int(updates)))
        torch._foreach_lerp_(list(averages), list(weights), 1 - decay_now)

    return update
