"""Files that are there as a whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_DIGITS = 16  # of a SHA-256, in a file's name


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends.

    Before that it has another name, in the same folder; what was written of it is removed when the block
    fails, so that a full disk has room for the reason.

    Raises:
        OSError: it cannot be written; always with the path.
    """
    temporary = partial(path)
    with naming(path):
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_with_checksum(stem: Path, content: bytes) -> Path:
    """Write ``STEM-SHA256.safetensors``, whose name says what its content's SHA-256 begins with.

    Raises:
        OSError: it cannot be written.
    """
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    path = stem.with_name(f"{stem.name}-{digest}.safetensors")
    with replacing(path) as stream:
        stream.write(content)
    return path


def is_whole(path: Path, content: bytes) -> bool:
    """Whether the content of such a file is what was written."""
    return hashlib.sha256(content).hexdigest().startswith(path.stem[-_DIGITS:])


def partial(path: Path) -> Path:
    """The name of a file that is not yet whole."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let the errors of the system in the block name a path, which those of writing do not.

    Raises:
        OSError: with the path, where the system named none.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
