"""Parts of the head start that take minutes, kept until the first checkpoint has all of it.

Each is a safetensors file beside the checkpoints, whose name says what it is, what it was made with, and what
the file's SHA-256 begins with: ``stage-NAME-MADE_WITH-SHA256.safetensors``. A job that is interrupted in its
head start goes on behind the last of them.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from byoc.checkpoints import is_being_uploaded
from byoc.files import matches_checksum, temporary_path, write_with_checksum

logger = logging.getLogger(__name__)

Tensors = Mapping[str, NDArray[Any]]


class Stages:
    """The finished parts of one head start.

    Args:
        folder: where checkpoints go; None where nothing is kept.
        made_with: whatever must be the same for a part that is gone on with, by name.
    """

    def __init__(self, folder: Path | None, made_with: Mapping[str, Any]) -> None:
        self._folder = folder
        self._made_with = json.dumps(made_with, sort_keys=True).encode()

    def done(self, name: str, work: Callable[[], Tensors], made_of: bytes = b"") -> Tensors:
        """What the work gives, or gave before the job was interrupted.

        Args:
            name: of the part.
            work: makes it.
            made_of: what it depends on that the job computes before it.

        Raises:
            OSError: it cannot be written.
        """
        if self._folder is None:
            return work()
        stem = f"stage-{name}-{hashlib.sha256(self._made_with + made_of).hexdigest()[:16]}"
        for path in self._folder.glob(f"{stem}-*.safetensors"):
            try:
                content = path.read_bytes()
            except OSError as error:
                logger.warning("%s cannot be read (%s): made again", path, error.strerror)
                continue
            if matches_checksum(path, content):
                logger.info("going on behind %s", path)
                return deserialize(content)
            logger.warning("%s is damaged: made again", path)
        found = work()
        write_with_checksum(self._folder / stem, serialize(dict(found)))
        return found


def remove_stages(folder: Path | None) -> None:
    """Remove all that there are, those of other jobs and what a killed one did not finish included."""
    for pattern in ("stage-*.safetensors", temporary_path(Path("stage-*")).name):
        for path in folder.glob(pattern) if folder else ():
            if not is_being_uploaded(path):
                path.unlink(missing_ok=True)


NOT_KEPT = Stages(None, {})
