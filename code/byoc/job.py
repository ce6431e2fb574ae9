"""A training job: the interface of the container to the model package."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from byoc import artifact
from byoc.checkpoints import Checkpoints
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import DataError
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag

logger = logging.getLogger(__name__)

_CHECKPOINT_MINUTES = 10.0


@dataclass(frozen=True)
class Job:
    """A training job in one of its processes.

    Attributes:
        package: import name of the model package.
        opt_ml: paths and configuration below /opt/ml.
        hyperparameters: an instance of the package's ``Hyperparameters``.
        stop: ``stop.requested`` becomes True on SIGTERM; 120 seconds are left then.
        process_group: the processes that train together.
    """

    package: str
    opt_ml: OptMl
    hyperparameters: Any
    stop: StopFlag
    process_group: ProcessGroup = SINGLE_PROCESS

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The checkpoint store; writes nothing in a job without a checkpoint folder."""
        minutes = getattr(self.hyperparameters, "checkpoint_interval_minutes", _CHECKPOINT_MINUTES)
        return Checkpoints(self.opt_ml.checkpoints, minutes)

    @property
    def channels(self) -> dict[str, Path]:
        """The folders of the data channels, by name."""
        return self.opt_ml.channels()

    def channel(self, name: str) -> Path:
        """The folder of a channel.

        Raises:
            DataError: the job lacks the channel.
        """
        channels = self.channels
        if name not in channels:
            raise DataError(f"expected a channel {name}; the channels are: {', '.join(channels) or 'none'}")
        return channels[name]

    def write_artifact(self, write: Callable[[Path], None]) -> None:
        """Replace the model, on rank 0; ``write`` gets an empty folder for its files.

        An OSError leaves the old model unharmed. A job with a checkpoint folder keeps a copy there.
        """
        if self.process_group.rank == 0:
            artifact.write_artifact(self.opt_ml.model, self.package, write)
            if self.checkpoints.folder is not None:
                artifact.save_copy(self.opt_ml.model, self.checkpoints.folder)

    def report_metrics(self, **values: float) -> None:
        """Log one line ``name=value; ...`` for SageMaker's metric definitions."""
        logger.info("%s", format_metrics(**values))


def format_metrics(**values: float) -> str:
    """The metrics as ``name=value;`` with plain decimals: floats have four digits after the point."""
    return " ".join(
        f"{name}={value:.4f};" if isinstance(value, float) else f"{name}={value};"
        for name, value in values.items()
    )
