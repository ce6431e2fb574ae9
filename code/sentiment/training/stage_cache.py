"""Cached results of the slow stages of the warm start, until the first checkpoint contains them.

Each is a safetensors file next to the checkpoints: ``stage-NAME-KEY-SHA256.safetensors``. KEY is a hash of
configuration and inputs. An interrupted job resumes after the last finished stage.
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

from byoc.files import is_being_uploaded, matches_checksum, temporary_path, write_with_checksum

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]


class StageCache:
    """The finished stages of one warm start, in the checkpoint folder; None disables the cache.

    ``config`` holds the settings that a resumed job must share.
    """

    def __init__(self, folder: Path | None = None, config: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._config_key = json.dumps(config, sort_keys=True).encode()

    def get_or_compute(self, name: str, compute: Callable[[], Arrays], inputs: bytes = b"") -> Arrays:
        """The cached arrays of a stage, or the result of ``compute``, which is then cached.

        ``inputs`` represents inputs of the stage that do not follow from the configuration.

        Raises:
            OSError: the file cannot be written.
        """
        if self._folder is None:
            return compute()
        stem = f"stage-{name}-{hashlib.sha256(self._config_key + inputs).hexdigest()[:16]}"
        for path in self._folder.glob(f"{stem}-*.safetensors"):
            try:
                content = path.read_bytes()
            except OSError as error:
                logger.warning("cannot read %s (%s): computing it again", path, error.strerror)
                continue
            if matches_checksum(path, content):
                logger.info("resuming after %s", path)
                return deserialize(content)
            logger.warning("%s is damaged: computing it again", path)
        arrays = compute()
        write_with_checksum(self._folder / stem, serialize(dict(arrays)))
        return arrays

    @property
    def exists(self) -> bool:
        """Whether the folder contains any finished stage."""
        return self._folder is not None and any(self._folder.glob("stage-*.safetensors"))

    def clear(self) -> None:
        """Remove all stages, including those of other jobs and unfinished files of killed jobs."""
        for pattern in ("stage-*.safetensors", temporary_path(Path("stage-*")).name):
            for path in self._folder.glob(pattern) if self._folder else ():
                if not is_being_uploaded(path):
                    path.unlink(missing_ok=True)
