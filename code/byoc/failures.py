"""What to tell about a failure: the cause in the first line, what to do in the second."""

import errno
import traceback

import torch

from byoc.errors import SentimentError

_MORE_ROOM = "give the job a larger volume (VolumeSizeInGB)"
_REMEDIES = {
    errno.ENOSPC: _MORE_ROOM,
    errno.EDQUOT: _MORE_ROOM,
    errno.EACCES: "let the job's user, which is root on SageMaker, read and write there",
    errno.EPERM: "let the job's user, which is root on SageMaker, read and write there",
    errno.EROFS: "mount the folder so that the job can write there",
}
LESS_MEMORY = "use a smaller batch_size or max_length, or an instance with more memory"


def explain(error: BaseException) -> str:
    """The text of the failure file; a traceback goes to the log, but only for a bug of ours."""
    if isinstance(error, SentimentError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return (
            "interrupted\nstart the job again: with a checkpoint folder it goes on from the last checkpoint"
        )
    if isinstance(error, OSError) and error.filename:
        cause = f"{error.filename}: {error.strerror}"
        return f"{cause}\n{_REMEDIES[error.errno]}" if error.errno in _REMEDIES else cause
    cause = f"{type(error).__name__}: {error}".rstrip(": ")
    if _is_lack_of_memory(error):
        return f"out of memory: {cause.splitlines()[0]}\n{LESS_MEMORY}"
    traceback.print_exception(error)
    return cause


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # Neither the CPU's memory nor what CUDA's libraries take for themselves has a class of its own.
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
    )


def may_be_a_symptom(error: BaseException) -> bool:
    """Whether the error may come from the loss of another process, which torch tells by a RuntimeError."""
    return isinstance(error, RuntimeError) and not _is_lack_of_memory(error)
