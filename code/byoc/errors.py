"""Errors that a caller can see, and act on. Anything else that escapes is a bug of ours.

SentimentError
 +- HyperparameterError   a hyperparameter has an unknown name, a wrong type or a value out of range
 +- DataError             a channel, a file or a line in it cannot be used
 +- TrainingError         the training itself cannot go on
 +- CheckpointError       a checkpoint is of another job
 +- HostError             a process or a host of several is lost, or cannot be reached
 +- ArtifactError         a model directory is missing, damaged or of another format
 +- RequestError          a request cannot be answered; carries the HTTP status
     +- MalformedBodyError         400
     +- NotAcceptableError         406
     +- UnsupportedMediaTypeError  415
"""


class SentimentError(Exception):
    """Base of all. The message says what was wrong, what was expected, and what to do."""


class HyperparameterError(SentimentError):
    """A hyperparameter has an unknown name, a wrong type or a value out of range."""


class DataError(SentimentError):
    """A channel, a file or a line in it cannot be used."""


class TrainingError(SentimentError):
    """The training cannot go on, for example because the loss is no longer a number."""


class CheckpointError(SentimentError):
    """A checkpoint is of another job, or of another format. The message names the differences."""


class HostError(SentimentError):
    """One of the processes or hosts that train together is lost, or cannot be reached. Names it."""


class ArtifactError(SentimentError):
    """A model directory is missing, damaged or of another format. The message names the file."""


class RequestError(SentimentError):
    """A request cannot be answered; ``status`` is the HTTP status of the answer."""

    status = 400


class MalformedBodyError(RequestError):
    """The body is not what its content type promises. The message gives reason and position."""


class NotAcceptableError(RequestError):
    """None of the media types in the Accept header can be produced."""

    status = 406


class UnsupportedMediaTypeError(RequestError):
    """The content type of the body is none that is understood."""

    status = 415
