"""The epochs of a training, and which of them is the best."""

from typing import NamedTuple


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


def best_epoch(history: list[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss, the first of equals."""
    return min(history, key=lambda epoch: epoch.validation_loss)
