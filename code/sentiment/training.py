"""The training loop: optimizer, schedule, early stopping."""

import logging
import sys
import time
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from sentiment.batches import Examples, pad, training_batches
from sentiment.errors import TrainingError
from sentiment.evaluation import log_loss
from sentiment.hyperparameters import Hyperparameters
from sentiment.model import SentimentLSTM, evaluate, to_tensors

logger = logging.getLogger(__name__)

# Share of all steps in which the learning rate rises, before it falls to zero.
_WARM_UP = 0.03


class Epoch(NamedTuple):
    """What one epoch gave. The losses are mean log losses in nats."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    reviews_per_second: float

    def __str__(self) -> str:
        """One line, for people and for SageMaker's metric definitions: plain decimals, ``name=value;``."""
        return (
            f"epoch={self.epoch}; train_loss={self.train_loss:.4f}; "
            f"validation_loss={self.validation_loss:.4f}; "
            f"validation_accuracy={self.validation_accuracy:.4f}; "
            f"reviews_per_second={self.reviews_per_second:.0f};"
        )


def set_up_torch(seed: int) -> None:
    """Make torch's results depend on the seed alone (on one machine, with one number of threads).

    Call it before the first tensor operation: threads that exist already keep their own treatment of
    denormal numbers, which are flushed to zero because they slow down CPUs by a factor.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    if not torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)


def check_precision(precision: str, device: str) -> None:
    """Refuse arithmetic that the hardware does not have.

    Raises:
        TrainingError: naming what to use instead.
    """
    # What oneDNN, which runs the LSTM on CPUs, needs for bf16: AVX-512.
    if precision == "bf16" and device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise TrainingError("precision bf16 needs a CPU with AVX-512, or a GPU; use precision fp32 here")


def fit(
    network: SentimentLSTM,
    training: Examples,
    validation: Examples,
    hyperparameters: Hyperparameters,
) -> list[Epoch]:
    """Train, and leave the network with the weights of the epoch with the lowest validation loss.

    Stops after ``patience`` epochs without a lower one. Logs one line an epoch, and shows a progress bar
    where a person watches.

    Returns:
        The epochs, in order.

    Raises:
        TrainingError: the loss is no longer a finite number.
    """
    loop = TrainingLoop(network, training, hyperparameters)
    history: list[Epoch] = []
    best: dict[str, Tensor] = {}
    best_loss = float("inf")
    for number in range(1, hyperparameters.epochs + 1):
        start = time.perf_counter()
        train_loss = loop.run_epoch(number)
        seconds = time.perf_counter() - start
        logits = evaluate(network, validation.sequences)
        epoch = Epoch(
            number,
            train_loss,
            log_loss(logits, validation.labels),
            float(((logits > 0) == (validation.labels == 1)).mean()),
            len(training.labels) / seconds,
        )
        logger.info("%s", epoch)
        history.append(epoch)
        if epoch.validation_loss < best_loss:
            best_loss = epoch.validation_loss
            best = {name: weight.clone() for name, weight in network.state_dict().items()}
        elif number - best_epoch(history).epoch >= hyperparameters.patience:
            logger.info("stopped early: no lower validation loss in %d epochs", hyperparameters.patience)
            break
    network.load_state_dict(best)
    return history


def learning_rate_share(step: int, steps: int) -> float:
    """The share of the highest learning rate at a step, counted from 0: a short rise, a long fall.

    The slanted triangle of Howard and Ruder, ACL 2018, section 3.2, with a shorter rise.
    """
    rise = max(1, int(steps * _WARM_UP))
    return min(1.0, (step + 1) / rise) * max(0.0, 1 - step / steps)


def best_epoch(history: list[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss, the first of equals."""
    return min(history, key=lambda epoch: epoch.validation_loss)


class TrainingLoop:
    """The optimizer and everything else that lives from step to step."""

    def __init__(self, network: SentimentLSTM, training: Examples, hyperparameters: Hyperparameters) -> None:
        self.network = network
        self.training = training
        self.hyperparameters = hyperparameters
        self.device = network.embedding.weight.device
        self.generator = np.random.default_rng(hyperparameters.seed)
        self.optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=hyperparameters.learning_rate,
            weight_decay=hyperparameters.weight_decay,
            fused=True,  # the others spend longer on the embedding than the LSTM takes
        )
        batches = -(-len(training.labels) // hyperparameters.batch_size)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, partial(learning_rate_share, steps=batches * hyperparameters.epochs)
        )

    def run_epoch(self, number: int) -> float:
        """One pass over the training reviews; returns their mean loss."""
        self.network.train()
        total = 0.0
        progress = tqdm(
            self.batches(),
            desc=f"epoch {number}/{self.hyperparameters.epochs}",
            unit="batch",
            leave=False,
            disable=not sys.stderr.isatty(),
        )
        for indices in progress:
            loss = self.step(indices)
            if not np.isfinite(loss):
                raise TrainingError(
                    f"the training loss is {loss} in epoch {number}; try a lower learning_rate "
                    f"than {self.hyperparameters.learning_rate:g}, or a lower gradient_clip"
                )
            total += loss * len(indices)
        return total / len(self.training.labels)

    def batches(self) -> list[NDArray[np.int64]]:
        """The next epoch's batches, as indices."""
        return training_batches(self.training.sequences, self.hyperparameters.batch_size, self.generator)

    def step(self, indices: NDArray[np.int64]) -> float:
        """One optimizer step; returns the batch's mean loss before it."""
        ids, lengths = to_tensors(pad(self.training.sequences, indices), self.device)
        labels = torch.from_numpy(self.training.labels[indices]).to(self.device, torch.float32)
        bf16 = self.hyperparameters.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = self.network(ids, lengths)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.hyperparameters.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        return loss.item()
