"""Request bodies to texts, and predictions to response bodies.

A media type may carry parameters and be written in any case. Texts are UTF-8.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from byoc.errors import MalformedBodyError, NotAcceptableError, RequestError, UnsupportedMediaTypeError
from byoc.serving.limits import Limits
from byoc.serving.request import Record, read_csv, read_json, read_json_lines, read_text

if TYPE_CHECKING:  # it needs torch, and jobs/ does without
    from sentiment.model.predictor import Prediction

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
TEXT = "text/plain"

DEFAULT_LIMITS = Limits()
EXPECTED = f"expected one of {JSON}, {JSON_LINES}, {CSV}, {TEXT}"

_UTF8_NAMES = {"utf-8", "utf8", "us-ascii", "ascii"}
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)')
_WEIGHT = re.compile(r"[01](\.\d*)?")


def decode(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """The texts of a request, in order.

    Raises:
        UnsupportedMediaTypeError: ``content_type`` is none that is understood.
        MalformedBodyError: the body is not what it promises, or beyond the limits; names the line.
    """
    texts = []
    for record in _read(body, content_type, limits):
        if isinstance(record, MalformedBodyError):
            raise record
        texts.append(record)
    return texts


def decode_records(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Record]:
    """One text a record, or what is wrong with it: batch transform needs an answer for every line.

    A record is a line of JSON Lines, a row of CSV, an item of JSON's list, or else the whole body. Where a
    row's closing quote is missing, its first line is a bad record, and the next line begins another.

    Raises:
        UnsupportedMediaTypeError: ``content_type`` is none that is understood.
        MalformedBodyError: several lines together should be JSON and are not, so that nobody can tell how
            many records they are.
    """
    return list(_read(body, content_type, limits))


def encode(answers: "Sequence[Prediction | RequestError]", media_type: str) -> bytes:
    """A response body of a media type that ``choose_media_type`` returned, one record an answer.

    An error becomes ``{"error": reason}`` in both kinds of JSON, and ``error,"reason"`` in CSV.
    """
    # A reason might quote half a character of the caller's.
    return _ENCODERS[media_type](answers).encode("utf-8", "backslashreplace")


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
        raise NotAcceptableError(
            f"cannot answer in {(accept or '')[:100]}; expected one of {', '.join(_ENCODERS)}"
        )
    return best


def _quality(media_type: str, ranges: Mapping[str, Mapping[str, str]]) -> float:
    """The weight that the most specific of the media ranges gives to a media type."""
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if pattern in ranges:
            weight = ranges[pattern].get("q", "1")
            return float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    return 0.0


def _parse_media_type(header: str) -> tuple[str, dict[str, str]]:
    media_type, separator, parameters = header.partition(";")
    return media_type.strip().lower(), {
        name.lower(): value.strip().strip('"') for name, value in _PARAMETER.findall(separator + parameters)
    }


def _read(body: bytes, content_type: str, limits: Limits) -> Iterator[Record]:
    media_type, parameters = _parse_media_type(content_type)
    reader = _READERS.get(media_type)
    if reader is None:
        raise UnsupportedMediaTypeError(f"content type {media_type[:100] or 'missing'}; {EXPECTED}")
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in _UTF8_NAMES:
        raise UnsupportedMediaTypeError(f"charset {charset[:100]}; send UTF-8")
    return reader(body.removeprefix(codecs.BOM_UTF8), limits)


def _record(answer: "Prediction | RequestError") -> dict[str, Any]:
    if isinstance(answer, RequestError):
        return {"error": str(answer)}
    return {"label": answer.label, "probability": round(answer.probability, 6)}


def _encode_json(answers: "Sequence[Prediction | RequestError]") -> str:
    return json.dumps([_record(answer) for answer in answers])


def _encode_json_lines(answers: "Sequence[Prediction | RequestError]") -> str:
    # No line end behind the last one: batch transform adds it when it assembles the output.
    return "\n".join(json.dumps(_record(answer)) for answer in answers)


def _encode_csv(answers: "Sequence[Prediction | RequestError]") -> str:
    return "\n".join(map(_csv_row, answers))


def _csv_row(answer: "Prediction | RequestError") -> str:
    if isinstance(answer, RequestError):
        reason = " ".join(str(answer).split()).replace('"', '""')
        return f'error,"{reason}"'
    return f"{answer.label},{answer.probability:.6f}"


_READERS: dict[str, Callable[[bytes, Limits], Iterator[Record]]] = {
    JSON: read_json,
    JSON_LINES: read_json_lines,
    CSV: read_csv,
    TEXT: read_text,
}
_ENCODERS: "dict[str, Callable[[Sequence[Prediction | RequestError]], str]]" = {
    JSON: _encode_json,
    JSON_LINES: _encode_json_lines,
    CSV: _encode_csv,
}
