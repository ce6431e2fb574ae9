"""The model server's handler: decode requests, predict, encode answers.

Multi Model Server calls ``handle`` once without data when a worker starts, then with one or more requests at
a time. It is a function because the server hides the errors of a handler class, and it never raises for a
request, because one failing request would fail the whole batch.
"""

import faulthandler
import http.client
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from sagemaker_inference import content_types, parameters

from byoc.artifact import check_artifact
from byoc.errors import ArtifactError, PackageError, RequestError, UnusableTextError, UserError
from byoc.model import LoadedModel, Result
from byoc.package import import_package, package_name
from byoc.serving import json_log, request, response
from byoc.serving.request import Limits, Record
from byoc.serving.response import Fields
from byoc.serving.worker_status import WorkerFile

logger = logging.getLogger("worker")

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# nginx.conf.j2 sets it to the path of a large body, which does not pass through the server.
BODY_FILE = "x-body-file"
# Texts predicted in one step, which bounds the delay of the other requests of a batch.
STEP_TEXTS = 256


class _Worker(NamedTuple):
    """The state of a worker.

    Attributes:
        file: shows the supervisor whether the worker is busy.
        is_batch: whether a bad record becomes an error record instead of failing the request.
        accept: the media type for a request that accepts any.
        refuses_truncated: whether a text that the model truncates is an error.
    """

    model: LoadedModel
    file: WorkerFile
    limits: Limits
    fields: Fields
    is_batch: bool
    accept: str
    refuses_truncated: bool


_worker: _Worker | None = None


class _InternalError(RequestError):
    """A fault of the container or the model; the traceback is in the log only."""

    status = 500


class _Request(NamedTuple):
    """A decoded request: a text or an error per record, and the media type of the answer."""

    records: Sequence[Record]
    media_type: str
    is_explained: bool = False

    @property
    def texts(self) -> list[str]:
        return [record for record in self.records if isinstance(record, str)]


class _Answer(NamedTuple):
    """An answer; ``metrics`` go into the request log."""

    body: bytes
    media_type: str = request.JSON
    status: int = 200
    metrics: Mapping[str, float] = {}


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[bytes] | None:
    """Answer requests; the status and the headers of each answer go into the context.

    Args:
        data: one mapping per request with its body under "body"; None to load the model.
        context: Multi Model Server's.

    Raises:
        ArtifactError: the model cannot be loaded.
        PackageError: the model's metrics differ from its package's ``metric_names``.
    """
    # The server keeps a handler as a function, so that its state is the module's.
    global _worker  # noqa: PLW0603
    if data is None:
        model_dir = Path(context.system_properties["model_dir"])
        try:
            _worker = _load(model_dir, context.system_properties.get("gpu_id"))
        except UserError as error:
            # The supervisor ends: another attempt would fail, too.
            (model_dir.parents[1] / "workers" / model_dir.name / "error").write_text(str(error), "utf-8")
            raise
        return None
    received = time.time()
    assert _worker is not None, "the server loads the model before it sends requests"
    headers = [_lower(context.get_all_request_header(i)) for i in range(len(data))]
    try:
        answers = _answer_in_steps(_worker, data, headers)
    finally:
        _worker.file.idle()
    for i, answer in enumerate(answers):
        context.set_response_status(answer.status, http.client.responses[answer.status], i)
        context.set_response_content_type(i, answer.media_type)
        metrics = {"batch-size": len(data), "queue-seconds": _queue_seconds(headers[i], received)}
        for name, value in (metrics | dict(answer.metrics)).items():
            context.set_response_header(i, f"X-{name}", str(value))
        attributes = headers[i].get(CUSTOM_ATTRIBUTES.lower(), "")
        if attributes and attributes.isascii() and attributes.isprintable():
            context.set_response_header(i, CUSTOM_ATTRIBUTES, attributes)
    # Otherwise the server prints its own metrics for every batch.
    context.metrics = None
    return [answer.body for answer in answers]


def _load(model_dir: Path, gpu: int | None) -> _Worker:
    """Load the model and predict the probe: a model that cannot predict is not loaded.

    container/serving/model_registry.py makes the folders.
    """
    started = time.monotonic()
    json_log.use(os.environ.get("SERVE_LOG_LEVEL") or "info", _is_routine)
    # Prints a traceback when the supervisor kills an overdue worker.
    faulthandler.enable()
    package = import_package()
    folder, name = model_dir.parents[1], model_dir.name
    artifact = (folder / "artifacts" / name).resolve()
    check_artifact(artifact, package_name())
    model = package.load(artifact, _device(gpu), os.environ.get("SERVE_PRECISION") or "fp32")
    fields = Fields(package.csv_fields, package.plain_field)
    results = model.predict([package.probe])
    metrics = _compute_metrics(model, results)
    try:
        response.encode([*results, metrics], request.JSON, fields)
    except ValueError as error:
        raise ArtifactError(f"{artifact}: the answer to {package.probe!r} is no JSON ({error})") from error
    for computed in (metrics, _compute_metrics(model, [])):
        # A missing value would break the request log's JSON; in batch transform, every text may be unusable.
        if set(computed) != set(package.metric_names) or not all(map(_is_number, computed.values())):
            raise PackageError(
                f"metrics() returned {dict(computed)}; expected a number for each of metric_names: "
                f"{sorted(package.metric_names)}"
            )
    default = Limits()
    worker = _Worker(
        model,
        WorkerFile(folder / "workers" / name, time.monotonic() - started),
        Limits(
            int(os.environ.get("SERVE_MAX_TEXTS") or default.texts),
            int(os.environ.get("SERVE_MAX_CHARACTERS") or default.characters),
            (*package.text_fields, "inputs"),
            package.labels,
        ),
        fields,
        os.environ.get("SAGEMAKER_BATCH", "").lower() == "true",
        os.environ.get(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV) or content_types.ANY,
        (os.environ.get("SERVE_LONG_TEXTS") or "").lower() == "refuse",
    )
    logger.info("the model is loaded")
    return worker


def _is_routine(record: logging.LogRecord) -> bool:
    """Whether a record is the server's own at each start and end of a worker.

    The server logs to the root logger, and logs an unloaded model as an error with a traceback.
    """
    error = record.exc_info[1] if record.exc_info else None
    return record.name == "root" and (record.levelno <= logging.INFO or str(error) == "Frontend disconnected")


def _device(gpu: int | None) -> str:
    if gpu is None:
        return "cpu"
    if torch.cuda.is_available():
        return f"cuda:{gpu}"
    logger.warning(
        "cannot start CUDA on GPU %s; THE MODEL RUNS ON THE CPU, slowly: torch %s is built for CUDA %s, the "
        "driver may be older; see InferenceAmiVersion of the endpoint configuration",
        gpu,
        torch.__version__,
        torch.version.cuda,
    )
    return "cpu"


def _lower(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; the server keeps the client's spelling."""
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}


def _queue_seconds(headers: Mapping[str, str], received: float) -> float:
    """The time from when nginx had the whole request until the worker got it."""
    try:
        return round(max(0.0, received - float(headers["x-received"])), 3)
    except (KeyError, ValueError):
        return 0.0


def _read(worker: _Worker, item: Mapping[str, Any], headers: Mapping[str, str]) -> _Request | RequestError:
    """Decode one request; an error is returned, not raised."""
    content_type = headers.get("content-type", "")
    worker.file.busy()
    try:
        # The server parses forms, which curl sends by default, itself: there is no body then.
        body = Path(headers[BODY_FILE]).read_bytes() if BODY_FILE in headers else bytes(item.get("body", b""))
        accept = headers.get("accept") or content_types.ANY
        if accept == content_types.ANY:
            accept = worker.accept
        media_type = response.choose_media_type(accept, content_type, worker.fields, batch=worker.is_batch)
        records = _decode(worker, body, content_type)
        is_explained = request.wants_explanations(body, content_type, worker.limits)
        if is_explained and not hasattr(worker.model, "explain"):
            raise RequestError("this model offers no explanations; leave out the parameter explain")
        return _Request(records, media_type, is_explained)
    except RequestError as error:
        return error
    except Exception:
        logger.exception("a request cannot be decoded")
        return _InternalError("the request cannot be decoded; see the log")


def _decode(worker: _Worker, body: bytes, content_type: str) -> Sequence[Record]:
    if not worker.is_batch:
        return request.decode(body, content_type, worker.limits)
    records = request.decode_records(body, content_type, worker.limits)
    if any(isinstance(record, str) for record in records):
        worker.file.mark_decoded()
    elif len(records) == 1 and request.is_misshapen(records[0]) and not worker.file.has_decoded:
        # Probably every record is: one error now, instead of a job of nothing but error records.
        raise cast(RequestError, records[0])
    return records


def _answer_in_steps(
    worker: _Worker, data: Sequence[Mapping[str, Any]], headers: Sequence[Mapping[str, str]]
) -> list[_Answer]:
    """Predict several requests at a time; each step has a request's time.

    A step has at most STEP_TEXTS texts. A large body is decoded when the step before it has ended, and has a
    step of its own, so that no two of them are in memory.
    """
    answers: dict[int, _Answer] = {}
    step: dict[int, _Request] = {}

    def end_step() -> None:
        if step:
            worker.file.busy()
            answers.update(_answer(worker, step))
            step.clear()

    for i, (item, names) in enumerate(zip(data, headers, strict=True)):
        is_large = BODY_FILE in names
        if is_large:
            end_step()
        decoded = _read(worker, item, names)
        if isinstance(decoded, RequestError):
            answers[i] = _refuse(decoded)
            continue
        if sum(len(earlier.records) for earlier in step.values()) + len(decoded.records) > STEP_TEXTS:
            end_step()
        step[i] = decoded
        del decoded
        if is_large:
            end_step()
    end_step()
    return [answers[i] for i in range(len(data))]


def _answer(worker: _Worker, requests: Mapping[int, _Request]) -> dict[int, _Answer]:
    try:
        texts = [text for item in requests.values() for text in item.texts]
        results = worker.model.predict(texts) if texts else []
        if len(results) != len(texts):
            raise ValueError(f"the model returned {len(results)} results for {len(texts)} texts")
        rest = iter(results)
        return {i: _encode(worker, item, rest) for i, item in requests.items()}
    except Exception:
        logger.exception("prediction failed")
        if len(requests) > 1:
            # One by one, so that the failing request does not fail the batch.
            return {i: answer for j in requests for i, answer in _answer(worker, {j: requests[j]}).items()}
        return {i: _refuse(_InternalError("the prediction failed; see the log")) for i in requests}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _encode(worker: _Worker, item: _Request, predictions: Iterator[Result]) -> _Answer:
    if item.is_explained:
        pairs = zip(worker.model.explain(item.texts), predictions, strict=False)
        predictions = iter([{**result, "explanation": explanation} for explanation, result in pairs])
    results: list[Result | RequestError] = [
        record if isinstance(record, RequestError) else next(predictions) for record in item.records
    ]
    if worker.refuses_truncated:
        results = [_refuse_truncated(result, i) for i, result in enumerate(results, start=1)]
        errors = [result for result in results if isinstance(result, RequestError)]
        if errors and not worker.is_batch:
            return _refuse(errors[0])
    predicted = [result for result in results if not isinstance(result, RequestError)]
    metrics: dict[str, float] = {"texts": len(predicted), "characters": sum(map(len, item.texts))}
    metrics |= {n.replace("_", "-"): v for n, v in _compute_metrics(worker.model, predicted).items()}
    response.encode([metrics], request.JSON, worker.fields)  # raises: the request log is JSON
    return _Answer(response.encode(results, item.media_type, worker.fields), item.media_type, metrics=metrics)


def _refuse_truncated(result: Result | RequestError, number: int) -> Result | RequestError:
    if isinstance(result, RequestError) or not result.get("truncated"):
        return result
    return UnusableTextError(f"text {number}: longer than the model uses; shorten it")


def _compute_metrics(model: LoadedModel, results: Sequence[Result]) -> Mapping[str, float]:
    compute = getattr(model, "metrics", None)
    return compute(results) if compute else {}


def _refuse(error: RequestError) -> _Answer:
    return _Answer(json.dumps({"error": str(error)}).encode(), status=error.status)
