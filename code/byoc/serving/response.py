"""Results to response bodies: content negotiation, and one JSON object, CSV row or line per text."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from byoc.errors import NotAcceptableError, RequestError
from byoc.model import Result
from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT, parse_media_type

_WEIGHT = re.compile(r"[01](\.\d*)?")


class Fields(NamedTuple):
    """Keys of a result: the columns of CSV in order (empty: all), and the ``text/plain`` value, if any."""

    csv: tuple[str, ...] = ()
    plain: str | None = None

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that can be produced."""
        return (JSON, JSON_LINES, CSV, TEXT) if self.plain else (JSON, JSON_LINES, CSV)


def choose_media_type(accept: str | None, content_type: str, fields: Fields, *, batch: bool = False) -> str:
    """The media type that the Accept header prefers (RFC 9110, section 12.5.1).

    Without a preference, JSON Lines and CSV are answered in kind, the lines of plain text in batch transform
    with JSON Lines, other requests with JSON.

    Raises:
        NotAcceptableError: it names only media types that cannot be produced.
    """
    media_type, _ = parse_media_type(content_type)
    default = media_type if media_type in (JSON_LINES, CSV) else JSON
    if batch and media_type == TEXT:
        default = JSON_LINES
    ranges = dict(parse_media_type(item) for item in (accept or "*/*").split(","))
    best = max((default, *fields.media_types), key=lambda candidate: _weight(candidate, ranges))
    if _weight(best, ranges) <= 0:
        raise NotAcceptableError(
            f"cannot answer in {(accept or '')[:100]}; expected one of {', '.join(fields.media_types)}"
        )
    return best


def _weight(media_type: str, ranges: Mapping[str, Mapping[str, str]]) -> float:
    """The weight of a media type: that of the most specific range which covers it."""
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if pattern in ranges:
            weight = ranges[pattern].get("q", "1")
            return float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    return 0.0


def encode(results: Sequence[Result | RequestError], media_type: str, fields: Fields) -> bytes:
    """A body with one record per result.

    An error becomes ``{"error": reason}`` in JSON, a row of ``error`` with the reason in the last column in
    CSV, and ``error: reason`` in plain text, as does a result without a plain value. Keys that begin with
    ``_`` are skipped.

    Raises:
        ValueError: a result holds a number that is not finite, which JSON does not have.
    """
    records = [_record(result) for result in results]
    if media_type == JSON:
        body = json.dumps(records, allow_nan=False)
    else:
        # No line end after the last record: batch transform adds it when it assembles the output.
        body = "\n".join(_line(record, media_type, fields) for record in records)
    # A reason may quote half a surrogate pair of the caller's.
    return body.encode("utf-8", "backslashreplace")


def _record(result: Result | RequestError) -> dict[str, Any]:
    if isinstance(result, RequestError):
        return {"error": str(result)}
    return {key: value for key, value in result.items() if not key.startswith("_")}


def _line(record: Mapping[str, Any], media_type: str, fields: Fields) -> str:
    if media_type == CSV:
        return _csv_row(record, fields.csv)
    if media_type == TEXT:
        return _text_line(record, fields.plain or "")
    return json.dumps(record, allow_nan=False)


def _csv_row(record: Mapping[str, Any], keys: Sequence[str]) -> str:
    if "error" in record:
        # As many columns as a result has.
        return ",".join(["error", *[""] * (len(keys) - 2), _quote(_one_line(record["error"]))])
    return ",".join(_cell(record.get(key)) for key in keys or record)


def _cell(value: Any) -> str:
    text = "" if value is None else _plain(value)
    return _quote(text) if re.search(r'[",\r\n]', text) else text


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text_line(record: Mapping[str, Any], key: str) -> str:
    if (value := record.get(key)) is not None and "error" not in record:
        return _one_line(_plain(value))
    return f"error: {_one_line(str(record.get('error') or record.get('warning') or f'no {key}'))}"
