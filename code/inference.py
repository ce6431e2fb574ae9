"""The model server's handler: decode the requests, predict, encode the answers.

Multi Model Server calls ``handle`` once with no data when a worker starts, and then with one or more
requests at a time. It is a function and not a class because the server hides what fails when it builds a
class, and it never raises, because one failing request would take its neighbours with it.
"""

import http.client
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from sagemaker_inference import parameters
from sagemaker_inference.environment import Environment

from sentiment import payload
from sentiment.errors import RequestError, UnsupportedMediaTypeError
from sentiment.opt_ml import OptMl
from sentiment.predictor import Prediction, Predictor

logger = logging.getLogger(__name__)

_predictor: Predictor | None = None


class _InternalError(RequestError):
    """A fault of ours: the log has the traceback, the caller does not."""

    status = 500


class _Request(NamedTuple):
    """A request that was understood: its texts, and what to answer in."""

    texts: list[str]
    media_type: str


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[bytes] | None:
    """Answer requests; the status and content type of each answer go into the context.

    Args:
        data: one mapping a request, with its body under "body"; None to load the model.
        context: Multi Model Server's.

    Raises:
        ArtifactError: the model cannot be loaded.
    """
    if data is None:
        _load(context.system_properties.get("gpu_id"))
        return None
    requests = [_read(item, context.get_all_request_header(i)) for i, item in enumerate(data)]
    texts = [text for request in requests if isinstance(request, _Request) for text in request.texts]
    predictions = _predict(texts)
    answers = []
    for i, request in enumerate(requests):
        if isinstance(request, RequestError):
            answers.append(_refuse(context, i, request))
        elif isinstance(predictions, RequestError):
            answers.append(_refuse(context, i, predictions))
        else:
            context.set_response_content_type(i, request.media_type)
            own = list(islice(predictions, len(request.texts)))
            answers.append(payload.encode(own, request.media_type))
    return answers


def _load(gpu: int | None) -> None:
    """Load the model and predict once: a model that cannot do that is not loaded."""
    # The server knows a handler as a function, so its state is the module's.
    global _predictor  # noqa: PLW0603
    device = f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu"
    predictor = Predictor.load(OptMl.from_environment().model, device)
    predictor.predict(["a probe"])
    _predictor = predictor
    logger.info("the model is loaded, on %s", device)


def _read(item: Mapping[str, Any], headers: Mapping[str, str]) -> _Request | RequestError:
    """Decode one request; what is wrong with it is returned, not raised."""
    # The server keeps the case in which the client wrote a header's name.
    lower = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    content_type = lower.get("content-type", "")
    try:
        if "body" not in item:
            # The server itself takes apart forms, which is what curl sends unless told otherwise.
            raise UnsupportedMediaTypeError(f"content type {content_type or 'missing'}; {payload.EXPECTED}")
        accept = lower.get("accept", "*/*")
        if accept == "*/*" and os.environ.get(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV):
            accept = Environment().default_accept
        texts = payload.decode(bytes(item["body"]), content_type)
        return _Request(texts, payload.choose_media_type(accept, content_type))
    except RequestError as error:
        return error


def _predict(texts: list[str]) -> Iterator[Prediction] | RequestError:
    try:
        if _predictor is None:
            raise RuntimeError("no model is loaded")
        return iter(_predictor.predict(texts))
    except Exception:
        logger.exception("prediction failed")
        return _InternalError("the prediction failed; see the log")


def _refuse(context: Any, index: int, error: RequestError) -> bytes:
    context.set_response_status(error.status, http.client.responses[error.status], index)
    context.set_response_content_type(index, payload.JSON)
    return json.dumps({"error": str(error)}).encode()
