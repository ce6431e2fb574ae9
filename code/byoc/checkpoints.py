"""Checkpoints: all that a training needs to go on as if nothing had interrupted it.

Each is one safetensors file, whose name says how far the training was and what the file's SHA-256 begins
with: ``checkpoint-EPOCHS-BATCHES-SHA256.safetensors``. Figures and random states are JSON in its header.

The platform copies the folder to S3 while files come and go, and removes there what is removed here. It
marks a file by others of its name and an ending, which are passed over on reading:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

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
from byoc.files import matches_checksum, temporary_path, write_with_checksum
from byoc.version import version

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
KEPT = 2  # of the newest; the best epoch's comes on top

_NAME = re.compile(r"checkpoint-(\d{5})-(\d{8})-[0-9a-f]{16}\.safetensors")
_UPLOADING = ".sagemaker-uploading"


class Position(NamedTuple):
    """How far a training is: epochs that are over, validation included, and batches of the next one."""

    epochs: int
    batches: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training between two steps.

    Attributes:
        position: how far it is.
        made_with: whatever must be the same for a training that goes on from here, by name.
        tensors: weights, the optimizer's state, random states.
        values: everything else, as JSON can hold it.
    """

    position: Position
    made_with: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """The content of a file."""
        header = {
            "format_version": FORMAT_VERSION,
            "code_version": version(),
            "position": self.position,
            "made_with": self.made_with,
            "values": self.values,
        }
        return serialize(dict(self.tensors), {name: json.dumps(value) for name, value in header.items()})

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The checkpoint in a file whose checksum was right.

        Raises:
            CheckpointError: it is of another format version.
        """
        # A safetensors file begins with the length of its header: 8 bytes, little-endian.
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])["__metadata__"]
        values = {name: json.loads(value) for name, value in header.items()}
        if values["format_version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"the checkpoint is of format version {values['format_version']}, this code reads version "
                f"{FORMAT_VERSION}\ngo on with the image that made it, or with an empty checkpoint folder"
            )
        position = Position(*values["position"])
        return cls(position, values["made_with"], deserialize(content), values["values"])

    def check(self, made_with: Mapping[str, Any]) -> None:
        """Refuse to go on from here with anything else than what the checkpoint was made with.

        Raises:
            CheckpointError: naming every difference.
        """
        differences = [
            f"{name} {self.made_with.get(name)} (now {made_with.get(name)})"
            for name in {**self.made_with, **made_with}
            if self.made_with.get(name) != made_with.get(name)
        ]
        if differences:
            raise CheckpointError(
                f"the checkpoint was made with {', '.join(differences)}\n"
                "go on with the same, or start anew with an empty checkpoint folder"
            )


class Checkpoints:
    """The checkpoints in a folder. Where there is no such folder, nothing is written and nothing found.

    Args:
        folder: where the platform looks for them.
        minutes: time from one to the next.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder = folder if folder.is_dir() else None
        self._interval = 60 * minutes
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return self.folder is not None and time.monotonic() - self._written >= self._interval

    @property
    def are_begun(self) -> bool:
        """Whether there is anything to go on from, a stage of the head start included."""
        names = [path.name for path in self.folder.iterdir()] if self.folder else []
        return any(name.startswith(("checkpoint-", "stage-")) for name in names)

    def write(self, checkpoint: Checkpoint, best_epoch: int) -> None:
        """Write one; then remove all but the newest two, and the one of the end of the best epoch.

        Args:
            checkpoint: what to write.
            best_epoch: counted from 1; 0 where there is none yet.

        Raises:
            OSError: the folder cannot be written; the others are unharmed.
        """
        if self.folder is None:
            return
        epochs, batches = checkpoint.position
        stem = self.folder / f"checkpoint-{epochs:05}-{batches:08}"
        path = write_with_checksum(stem, checkpoint.to_bytes())
        self._written = time.monotonic()
        others = [(other, position) for other, position in self._files() if other != path]
        # Those that are no older were passed over when the training went on: they are damaged.
        older = [(other, position) for other, position in others if position < checkpoint.position]
        kept = [*older[: KEPT - 1], *(entry for entry in older if entry[1] == Position(best_epoch, 0))]
        for entry in others:
            if entry not in kept and not is_being_uploaded(entry[0]):
                entry[0].unlink(missing_ok=True)

    def newest(self) -> bytes | None:
        """The content of the newest file that is not damaged; None where there is none.

        What is damaged is told in the log. Files that a killed job did not finish are removed.
        """
        if self.folder is None:
            return None
        for left_over in self.folder.glob(temporary_path(Path("checkpoint-*")).name):
            left_over.unlink(missing_ok=True)
        files = self._files()
        for path, _ in files:
            content = _read(path)
            if content is not None:
                logger.info("going on from %s", path)
                return content
        if files:
            logger.warning(
                "no checkpoint in %s is whole: the training starts from the beginning", self.folder
            )
        return None

    def _files(self) -> list[tuple[Path, Position]]:
        """All of them, the newest first."""
        assert self.folder is not None
        found = [(path, match) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        found.sort(key=lambda entry: entry[0].name, reverse=True)
        return [(path, Position(int(match[1]), int(match[2]))) for path, match in found]


def is_being_uploaded(path: Path) -> bool:
    """Whether the platform copies the file at this moment, so that it has to stay."""
    return path.with_name(path.name + _UPLOADING).exists()


def _read(path: Path) -> bytes | None:
    """The content of a file; None, with a warning, if it is damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        logger.warning("checkpoint %s cannot be read (%s): trying the one before it", path, error.strerror)
        return None
    if matches_checksum(path, content):
        return content
    logger.warning("checkpoint %s is damaged: trying the one before it", path)
    return None
