"""The model server's handler: decode the requests, predict, encode the answers.

Multi Model Server calls ``handle`` once with no data when a worker starts, and then with one or more
requests at a time. It is a function and not a class because the server hides what fails when it builds a
class, and it never raises, because one failing request would take its neighbours with it.
"""

import faulthandler
import http.client
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sagemaker_inference import content_types, parameters

from byoc.errors import RequestError, UnsupportedMediaTypeError
from byoc.serving import json_log, payload
from byoc.serving.limits import Limits
from byoc.serving.request import Record
from byoc.serving.worker_status import WorkerFile
from sentiment.model.predictor import Prediction, Predictor

logger = logging.getLogger("worker")

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# Texts of one step: of requests that were waiting together, so that none of them waits long for the others.
STEP_TEXTS = 256


class _Worker(NamedTuple):
    """What a worker has once it has loaded the model."""

    predictor: Predictor
    file: WorkerFile
    limits: Limits
    # Whether a bad line becomes an error in its place, instead of failing the request.
    error_records: bool
    # What is answered to a request that accepts anything.
    accept: str


_worker: _Worker | None = None


class _InternalError(RequestError):
    """A fault of ours: the log has the traceback, the caller does not."""

    status = 500


class _Request(NamedTuple):
    """A request that was understood: a text or an error for each record, and what to answer in."""

    records: Sequence[Record]
    media_type: str

    @property
    def texts(self) -> list[str]:
        return [record for record in self.records if isinstance(record, str)]


class _Answer(NamedTuple):
    """An answer: figures are those of the request log."""

    body: bytes
    media_type: str = payload.JSON
    status: int = 200
    figures: Mapping[str, float] = {}


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[bytes] | None:
    """Answer requests; the status and headers of each answer go into the context.

    Args:
        data: one mapping a request, with its body under "body"; None to load the model.
        context: Multi Model Server's.

    Raises:
        ArtifactError: the model cannot be loaded.
    """
    # The server knows a handler as a function, so its state is the module's.
    global _worker  # noqa: PLW0603
    if data is None:
        _worker = _load(Path(context.system_properties["model_dir"]), context.system_properties.get("gpu_id"))
        return None
    received = time.time()
    assert _worker is not None, "the server loads the model before it sends requests"
    headers = [_lower(context.get_all_request_header(i)) for i in range(len(data))]
    try:
        requests = [_read(_worker, item, own) for item, own in zip(data, headers, strict=True)]
        answers = _answer_in_steps(_worker, requests)
    finally:
        _worker.file.idle()
    for i, answer in enumerate(answers):
        context.set_response_status(answer.status, http.client.responses[answer.status], i)
        context.set_response_content_type(i, answer.media_type)
        figures = {"batch-size": len(data), "queue-seconds": _queue_seconds(headers[i], received)}
        for name, figure in (figures | dict(answer.figures)).items():
            context.set_response_header(i, f"X-{name}", str(figure))
        attributes = headers[i].get(CUSTOM_ATTRIBUTES.lower(), "")
        if attributes and attributes.isascii() and attributes.isprintable():
            context.set_response_header(i, CUSTOM_ATTRIBUTES, attributes)
    # Or the server prints figures of its own for every batch, which nobody reads.
    context.metrics = None
    return [answer.body for answer in answers]


def _load(model_dir: Path, gpu: int | None) -> _Worker:
    """Load the model and predict once: a model that cannot do that is not loaded.

    container/serving/models.py makes the folders.
    """
    json_log.use(os.environ.get("SERVE_LOG_LEVEL") or "info", _is_routine)
    # Says where the worker is when it is killed for taking too long.
    faulthandler.enable()
    folder, name = model_dir.parents[1], model_dir.name
    precision = os.environ.get("SERVE_PRECISION") or "fp32"
    predictor = Predictor.load((folder / "artifacts" / name).resolve(), _device(gpu), precision)
    predictor.predict(["a probe"])
    default = Limits()
    worker = _Worker(
        predictor,
        WorkerFile(folder / "workers" / name),
        Limits(
            int(os.environ.get("SERVE_MAX_TEXTS") or default.texts),
            int(os.environ.get("SERVE_MAX_CHARACTERS") or default.characters),
        ),
        os.environ.get("SAGEMAKER_BATCH", "").lower() == "true",
        os.environ.get(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV) or content_types.ANY,
    )
    logger.info("the model is loaded")
    return worker


def _is_routine(record: logging.LogRecord) -> bool:
    """Whether it is what the server's own part of a worker says at each start and end.

    It uses the root logger, and takes being unloaded for an error, with a traceback.
    """
    error = record.exc_info[1] if record.exc_info else None
    return record.name == "root" and (record.levelno <= logging.INFO or str(error) == "Frontend disconnected")


def _device(gpu: int | None) -> str:
    if gpu is None:
        return "cpu"
    if torch.cuda.is_available():
        return f"cuda:{gpu}"
    logger.warning(
        "CUDA CANNOT START ON GPU %s, SO THAT THE MODEL RUNS ON THE CPU, slowly: torch %s is for CUDA %s, "
        "which the driver may be too old for: see InferenceAmiVersion of the endpoint configuration",
        gpu,
        torch.__version__,
        torch.version.cuda,
    )
    return "cpu"


def _lower(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers by name; the server keeps the case in which the client wrote it."""
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}


def _queue_seconds(headers: Mapping[str, str], received: float) -> float:
    """From when nginx had all of the request until the worker got it."""
    try:
        return round(max(0.0, received - float(headers["x-received"])), 3)
    except (KeyError, ValueError):
        return 0.0


def _read(worker: _Worker, item: Mapping[str, Any], headers: Mapping[str, str]) -> _Request | RequestError:
    """Decode one request; what is wrong with it is returned, not raised."""
    content_type = headers.get("content-type", "")
    worker.file.busy()
    try:
        if "body" not in item:
            # The server itself takes apart forms, which is what curl sends unless told otherwise.
            raise UnsupportedMediaTypeError(f"content type {content_type or 'missing'}; {payload.EXPECTED}")
        accept = headers.get("accept") or content_types.ANY
        if accept == content_types.ANY:
            accept = worker.accept
        media_type = payload.choose_media_type(accept, content_type)
        decode = payload.decode_records if worker.error_records else payload.decode
        return _Request(decode(bytes(item["body"]), content_type, worker.limits), media_type)
    except RequestError as error:
        return error
    except Exception:
        logger.exception("a request cannot be decoded")
        return _InternalError("the request cannot be decoded; see the log")


def _answer_in_steps(worker: _Worker, requests: Sequence[_Request | RequestError]) -> list[_Answer]:
    """Predict for several requests at a time, but not for more than STEP_TEXTS texts of them.

    Each step has the time of a request.
    """
    answers: dict[int, _Answer] = {
        i: _refusal(request) for i, request in enumerate(requests) if isinstance(request, RequestError)
    }
    understood = {i: request for i, request in enumerate(requests) if isinstance(request, _Request)}
    for step in _steps(understood):
        worker.file.busy()
        answers |= _answer(worker.predictor, {i: understood[i] for i in step})
    return [answers[i] for i in range(len(requests))]


def _steps(requests: Mapping[int, _Request]) -> Iterator[list[int]]:
    step: list[int] = []
    count = 0
    for i, request in requests.items():
        if step and count + len(request.records) > STEP_TEXTS:
            yield step
            step, count = [], 0
        step.append(i)
        count += len(request.records)
    if step:
        yield step


def _answer(predictor: Predictor, requests: Mapping[int, _Request]) -> dict[int, _Answer]:
    try:
        predictions = iter(
            predictor.predict([text for request in requests.values() for text in request.texts])
        )
        return {i: _encode(request, predictions) for i, request in requests.items()}
    except Exception:
        logger.exception("prediction failed")
        if len(requests) > 1:
            # Alone, so that the one that fails does not harm its neighbours.
            return {i: answer for j in requests for i, answer in _answer(predictor, {j: requests[j]}).items()}
        return {i: _refusal(_InternalError("the prediction failed; see the log")) for i in requests}


def _encode(request: _Request, predictions: Iterator[Prediction]) -> _Answer:
    results = [
        record if isinstance(record, RequestError) else next(predictions) for record in request.records
    ]
    own = [result for result in results if isinstance(result, Prediction)]
    figures = {
        "texts": len(own),
        "characters": sum(map(len, request.texts)),
        "unknown-share": round(sum(one.unknown_share for one in own) / max(1, len(own)), 4),
    }
    return _Answer(payload.encode(results, request.media_type), request.media_type, figures=figures)


def _refusal(error: RequestError) -> _Answer:
    return _Answer(json.dumps({"error": str(error)}).encode(), status=error.status)
