"""Errors that a caller can see and act on, and the line that explains any exception."""

import errno
import traceback


class UserError(Exception):
    """Base class; the message names the fault, the expectation and the remedy."""


class PackageError(UserError):
    """The model package cannot be imported or lacks members; the message lists them."""


class HyperparameterError(UserError):
    """A hyperparameter has an unknown name, a wrong type or a value out of range."""


class DataError(UserError):
    """A channel, a file or a line in it cannot be used."""


class TrainingError(UserError):
    """Training cannot go on, for example because the loss is not finite."""


class CheckpointError(UserError):
    """A checkpoint belongs to another job or has another format; the message names the differences."""


class HostError(UserError):
    """A process or a host of a distributed job is lost or unreachable; the message names it."""


class ArtifactError(UserError):
    """A model folder is missing, damaged or made by other code; the message names the file."""


class RequestError(UserError):
    """A request cannot be answered; ``status`` is the HTTP status."""

    status = 400


class MalformedBodyError(RequestError):
    """The body does not match its content type; the message gives reason and position."""


class UnusableTextError(MalformedBodyError):
    """A text of a well-formed body is empty, too long, or not UTF-8."""


class NotAcceptableError(RequestError):
    """No media type in the Accept header can be produced."""

    status = 406


class UnsupportedMediaTypeError(RequestError):
    """The content type of the body is not supported."""

    status = 415


_MORE_SPACE = "give the job a larger volume (VolumeSizeInGB)"
_ACCESS = "let the job's user, which is root on SageMaker, read and write there"
_REMEDIES = {
    errno.ENOSPC: _MORE_SPACE,
    errno.EDQUOT: _MORE_SPACE,
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EROFS: "mount the folder so that the job can write there",
}
LESS_MEMORY = "use a smaller batch_size or shorter inputs, or an instance with more memory"


def explain(error: BaseException) -> str:
    """The text of the failure file: the cause in the first line, the remedy in the second.

    Prints a traceback to stderr for a bug, that is, for any exception without a known cause.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted\nstart the job again: with a checkpoint folder it resumes"
    if isinstance(error, OSError) and error.filename:
        cause = f"{error.filename}: {error.strerror}"
        return f"{cause}\n{_REMEDIES[error.errno]}" if error.errno in _REMEDIES else cause
    cause = f"{type(error).__name__}: {error}".rstrip(": ")
    if _is_out_of_memory(error):
        return f"out of memory: {cause.splitlines()[0]}\n{LESS_MEMORY}"
    traceback.print_exception(error)
    return cause


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch raises a RuntimeError: its own subclass for CUDA's memory, none for the CPU's or cuBLAS's.
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
    )


def may_be_a_symptom(error: BaseException) -> bool:
    """Whether the loss of another process can cause the error; torch raises a RuntimeError then."""
    return isinstance(error, RuntimeError) and not _is_out_of_memory(error)
