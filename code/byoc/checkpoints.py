"""Checkpoint files, from which a job resumes as if it had not been interrupted.

Each is a safetensors file ``checkpoint-EPOCHS-BATCHES-SHA256.safetensors``, named after the progress and the
start of its checksum; the header holds JSON.

SageMaker may copy the folder to S3 at any time. It adds marker files, named after a checkpoint with a suffix,
which are ignored:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from safetensors.torch import load as deserialize
from safetensors.torch import save as serialize
from torch import Tensor

from byoc.errors import CheckpointError
from byoc.files import atomic_write, is_being_uploaded, temporary_path
from byoc.version import version

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
KEPT = 2  # newest checkpoints; the best epoch's is kept in addition

_NAME = re.compile(r"checkpoint-(\d{5})-(\d{8})-[0-9a-f]{16}\.safetensors")


class Position(NamedTuple):
    """Progress: finished epochs, validation included, and finished batches of the next epoch."""

    epochs: int
    batches: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of training between two steps: tensors, and JSON-serializable values.

    ``config`` holds the settings that a resumed job must share, by name.
    """

    position: Position
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """The content of the file."""
        header = {
            "format_version": FORMAT_VERSION,
            "code_version": version(),
            "position": self.position,
            "config": self.config,
            "values": self.values,
        }
        return serialize(dict(self.tensors), {name: json.dumps(value) for name, value in header.items()})

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The checkpoint in a file with a valid checksum.

        Raises:
            CheckpointError: it has another format version.
        """
        # A safetensors file starts with the length of its header: 8 bytes, little-endian.
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])["__metadata__"]
        values = {name: json.loads(value) for name, value in header.items()}
        if values["format_version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"the checkpoint has format version {values['format_version']}, this code reads version "
                f"{FORMAT_VERSION}\nuse the image that wrote it, or an empty checkpoint folder"
            )
        position = Position(*values["position"])
        return cls(position, values["config"], deserialize(content), values["values"])

    def check(self, config: Mapping[str, Any]) -> None:
        """Compare the configuration of the checkpoint with that of this job.

        Raises:
            CheckpointError: names every difference.
        """
        differences = [
            f"{name} {self.config.get(name)} (now {config.get(name)})"
            for name in {**self.config, **config}
            if self.config.get(name) != config.get(name)
        ]
        if differences:
            raise CheckpointError(
                f"the checkpoint was made with {', '.join(differences)}\n"
                "use the same settings and data, or an empty checkpoint folder"
            )


class Checkpoints:
    """The checkpoints in a folder, written every ``minutes``; none without the folder."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder = folder if folder.is_dir() else None
        self._interval = 60 * minutes
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self.folder is not None and time.monotonic() - self._written >= self._interval

    @property
    def exist(self) -> bool:
        """Whether the folder contains any checkpoint."""
        return self.folder is not None and bool(self._files())

    def write(self, checkpoint: Checkpoint, best_epoch: int) -> None:
        """Write a checkpoint; then remove all but the newest two and that of the best epoch.

        ``best_epoch`` counts from 1; 0 means none.

        Raises:
            OSError: the folder cannot be written; older checkpoints are unharmed.
        """
        if self.folder is None:
            return
        epochs, batches = checkpoint.position
        content = checkpoint.to_bytes()
        path = self.folder / f"checkpoint-{epochs:05}-{batches:08}-{_checksum(content)}.safetensors"
        with atomic_write(path) as stream:
            stream.write(content)
        self._written = time.monotonic()
        files = [entry for entry in self._files() if entry[0] != path]
        # Later positions are damaged files, which this job has skipped.
        older = [entry for entry in files if entry[1] < checkpoint.position]
        kept = [*older[: KEPT - 1], *(entry for entry in older if entry[1] == Position(best_epoch, 0))]
        for entry in files:
            if entry not in kept and not is_being_uploaded(entry[0]):
                entry[0].unlink(missing_ok=True)

    def newest(self) -> bytes | None:
        """The content of the newest undamaged file, or None.

        Logs a warning for each damaged file, and removes unfinished files of killed jobs.
        """
        if self.folder is None:
            return None
        for leftover in self.folder.glob(temporary_path(Path("checkpoint-*")).name):
            leftover.unlink(missing_ok=True)
        files = self._files()
        for path, _ in files:
            content = _read(path)
            if content is not None:
                logger.info("resuming from %s", path)
                return content
        if files:
            logger.warning("every checkpoint in %s is damaged: training starts over", self.folder)
        return None

    def _files(self) -> list[tuple[Path, Position]]:
        """All checkpoints, newest first."""
        assert self.folder is not None
        files = [(path, match) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        files.sort(key=lambda entry: entry[0].name, reverse=True)
        return [(path, Position(int(match[1]), int(match[2]))) for path, match in files]


def _read(path: Path) -> bytes | None:
    """The content of a file; None, with a warning, if it is damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        logger.warning("cannot read checkpoint %s (%s): trying the previous one", path, error.strerror)
        return None
    if path.stem.endswith(_checksum(content)):
        return content
    logger.warning("checkpoint %s is damaged: trying the previous one", path)
    return None


def _checksum(content: bytes) -> str:
    """The first digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
