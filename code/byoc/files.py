"""Atomic writes: a file exists as a whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content replaces ``path`` when the block ends.

    The partial file is removed when the block fails, so that a full disk has space for the failure file.

    Raises:
        OSError: the file cannot be written; always carries the path.
    """
    temporary = temporary_path(path)
    with name_in_errors(path):
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def is_being_uploaded(path: Path) -> bool:
    """Whether SageMaker is copying a checkpoint to S3, which must not be removed meanwhile.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
    """
    return path.with_name(f"{path.name}.sagemaker-uploading").exists()


def temporary_path(path: Path) -> Path:
    """The name of a file while it is being written."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """Add the path to system errors of the block that carry none; errors of ``write`` do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
