"""Request bodies to texts, and predictions to response bodies.

A media type may carry parameters and be written in any case. Texts are UTF-8.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from email.message import Message
from typing import Any

from sentiment.errors import MalformedBodyError, NotAcceptableError, UnsupportedMediaTypeError
from sentiment.predictor import Prediction

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
TEXT = "text/plain"

EXPECTED = f"expected one of {JSON}, {JSON_LINES}, {CSV}, {TEXT}"

_UTF8_NAMES = {"utf-8", "utf8", "us-ascii", "ascii"}


def decode(body: bytes, content_type: str) -> list[str]:
    """The texts of a request, in order.

    Raises:
        UnsupportedMediaTypeError: ``content_type`` is none that is understood.
        MalformedBodyError: the body is not what it promises.
    """
    media_type, parameters = _parse_media_type(content_type)
    decoder = _DECODERS.get(media_type)
    if decoder is None:
        raise UnsupportedMediaTypeError(f"content type {media_type or 'missing'}; {EXPECTED}")
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in _UTF8_NAMES:
        raise UnsupportedMediaTypeError(f"charset {charset}; send UTF-8")
    try:
        return decoder(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"the body is not UTF-8 at byte offset {error.start}") from error


def encode(predictions: Sequence[Prediction], media_type: str) -> bytes:
    """A response body of a media type that ``choose_media_type`` returned."""
    return _ENCODERS[media_type](predictions).encode("utf-8")


def choose_media_type(accept: str | None, content_type: str) -> str:
    """The media type of the answer: the one that the Accept header likes best (RFC 9110, 12.5.1).

    Where that leaves the choice open, records in lines are answered in lines, and all else in JSON.

    Raises:
        NotAcceptableError: it names only media types that cannot be produced.
    """
    media_type, _ = _parse_media_type(content_type)
    own_choice = media_type if media_type in (JSON_LINES, CSV) else JSON
    ranges = dict(_parse_media_type(item) for item in (accept or "*/*").split(","))
    best = max((own_choice, *_ENCODERS), key=lambda candidate: _quality(candidate, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptableError(f"cannot answer in {accept}; expected one of {', '.join(_ENCODERS)}")
    return best


def _quality(media_type: str, ranges: Mapping[str, Mapping[str, str]]) -> float:
    """The weight that the most specific of the media ranges gives to a media type."""
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if pattern in ranges:
            try:
                return float(ranges[pattern].get("q", "1"))
            except ValueError:
                return 0.0
    return 0.0


def _parse_media_type(header: str) -> tuple[str, dict[str, str]]:
    message = Message()
    message["content-type"] = header.replace("\r", " ").replace("\n", " ")
    parameters = message.get_params(failobj=[])
    return (
        parameters[0][0].strip().lower() if parameters else "",
        {name.lower(): value for name, value in parameters[1:]},
    )


def _text(value: Any, where: str) -> str:
    """A text, alone or as an object's "text" or "inputs"."""
    if isinstance(value, dict):
        value = value.get("text", value.get("inputs"))
    if not isinstance(value, str):
        raise MalformedBodyError(f'{where}: expected a string, or an object with "text" or "inputs"')
    return value


def _parse_json(text: str, where: str = "") -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        position = where or f"line {error.lineno}, "
        raise MalformedBodyError(f"{position}column {error.colno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError(f"{where}not JSON ({error})") from error


def _decode_json(body: str) -> list[str]:
    content = _parse_json(body)
    name = "body"
    if isinstance(content, dict):
        name = next((key for key in ("inputs", "instances") if key in content), "")
        if not name:
            raise MalformedBodyError('expected an object with "inputs" or "instances", a string or a list')
        content = content[name]
    if isinstance(content, list):
        return [_text(item, f"{name}[{i}]") for i, item in enumerate(content)]
    return [_text(content, name)]


def _decode_json_lines(body: str) -> list[str]:
    lines = body.removesuffix("\n").split("\n")
    return [
        _text(_parse_json(line, f"line {number}, "), f"line {number}")
        for number, line in enumerate(lines, start=1)
    ]


def _decode_csv(body: str) -> list[str]:
    line = body.removesuffix("\n").removesuffix("\r")
    # The SageMaker SDK's CSVSerializer sends a string as it is, unquoted.
    if line and not line.startswith('"') and "\n" not in line:
        return [line]
    texts = []
    rows = csv.reader(io.StringIO(body, newline=""), strict=True)
    try:
        for number, row in enumerate(rows, start=1):
            if len(row) != 1:
                raise MalformedBodyError(
                    f"row {number}: {len(row)} columns, expected 1; put each review in double quotes"
                )
            texts.append(row[0])
    except csv.Error as error:
        raise MalformedBodyError(f"row {len(texts) + 1}: {error}; double the quotes in a text") from error
    if not texts:
        raise MalformedBodyError("the body is empty, expected one review a row")
    return texts


def _decode_text(body: str) -> list[str]:
    if not body:
        raise MalformedBodyError("the body is empty, expected one review")
    return [body]


def _record(prediction: Prediction) -> dict[str, Any]:
    return {"label": prediction.label, "probability": round(prediction.probability, 6)}


def _encode_json(predictions: Sequence[Prediction]) -> str:
    return json.dumps([_record(prediction) for prediction in predictions])


def _encode_json_lines(predictions: Sequence[Prediction]) -> str:
    # No line end behind the last one: batch transform adds it when it assembles the output.
    return "\n".join(json.dumps(_record(prediction)) for prediction in predictions)


def _encode_csv(predictions: Sequence[Prediction]) -> str:
    return "\n".join(f"{label},{probability:.6f}" for label, probability in predictions)


_DECODERS: dict[str, Callable[[str], list[str]]] = {
    JSON: _decode_json,
    JSON_LINES: _decode_json_lines,
    CSV: _decode_csv,
    TEXT: _decode_text,
}
_ENCODERS: dict[str, Callable[[Sequence[Prediction]], str]] = {
    JSON: _encode_json,
    JSON_LINES: _encode_json_lines,
    CSV: _encode_csv,
}
