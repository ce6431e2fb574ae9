"""Readers of files with many reviews, plain or gzipped: CSV, TSV and JSON Lines."""

import csv
import gzip
import json
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from byoc.errors import DataError

TEXT_NAMES = ("text", "review")
LABEL_NAMES = ("label", "sentiment")
LABELS = {"1": 1, "0": 0, "pos": 1, "neg": 0, "positive": 1, "negative": 0}
NO_LABEL = -1  # as in scikit-learn's semi-supervised estimators

# The default is 131,072 characters. Longer fields are probably a missing quote, but legitimate.
csv.field_size_limit(16 * 2**20)


class Record(NamedTuple):
    """One review of a file; ``line``, counted from 1, is its last, ``label`` may be ``NO_LABEL``."""

    line: int
    text: str
    label: int


def parse_label(value: object) -> int:
    """Parse a label to 1 for positive or 0 for negative.

    Raises:
        ValueError: the label is unknown.
    """
    label = LABELS.get(str(value).strip().lower())
    if label is None or isinstance(value, bool):
        raise ValueError(f"unknown label {value!r}, expected one of {', '.join(LABELS)}")
    return label


def decode(content: bytes, path: Path | str, offset: int = 0) -> str:
    """Decode UTF-8 that begins at byte ``offset`` of a file.

    Raises:
        DataError: naming file and byte offset.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 at byte offset {offset + error.start}; save the file as UTF-8"
        ) from error


def _read_lines(path: Path) -> Generator[str, None, None]:
    """Read lines with their line ends, without a byte order mark."""
    offset = 0
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            for line in stream:
                text = decode(line, path, offset)
                yield text.removeprefix("\ufeff") if offset == 0 else text
                offset += len(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip file is damaged or truncated ({error}); upload it again"
        ) from error


def _make_record(path: Path, line: int, text: object, label: object, labeled: bool) -> Record:
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{path}, line {line}: the text is empty, expected a review")
    try:
        return Record(line, text, parse_label(label) if labeled else NO_LABEL)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {error}") from error


def _find_columns(path: Path, row: list[str], labeled: bool) -> tuple[int, int, int, bool]:
    """Column of the text, column of the label, number of columns, and whether the row is a header.

    Without ``labeled`` the label's column may be missing; its index is 0 then.
    """
    names = [cell.strip().lower() for cell in row]
    text = [i for i, name in enumerate(names) if name in TEXT_NAMES]
    label = [i for i, name in enumerate(names) if name in LABEL_NAMES]
    if text and (label or not labeled):
        return text[0], label[0] if label else 0, len(row), True
    if len(row) == 2 and names[0] in LABELS:
        return 1, 0, 2, False
    if not labeled and len(row) == 1:
        return 0, 0, 1, False
    header, rows = " or ".join(TEXT_NAMES), "one column"
    if labeled:
        header, rows = f"{header} and {' or '.join(LABEL_NAMES)}", "two columns with the label first"
    raise DataError(f"{path}, line 1: expected a header that names {header}, or rows of {rows}")


def read_table(path: Path, delimiter: str, labeled: bool = True) -> Iterator[Record]:
    """Read a CSV or TSV file, quoted as in RFC 4180; without ``labeled``, labels are optional and ignored.

    Raises:
        DataError: naming file and line.
    """
    # Closed here: the traceback of an error would keep the file open.
    with closing(_read_lines(path)) as lines:
        yield from _read_rows(path, lines, delimiter, labeled)


def _read_rows(path: Path, lines: Iterator[str], delimiter: str, labeled: bool) -> Iterator[Record]:
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        first = next(rows, None)
        if first is None:
            return
        text, label, width, is_header = _find_columns(path, first, labeled)
        if not is_header:
            yield _make_record(path, rows.line_num, first[text], first[label], labeled)
        for row in rows:
            if not row:
                continue
            if len(row) != width:
                raise DataError(
                    f"{path}, line {rows.line_num}: {len(row)} columns, expected {width}; "
                    "put texts with commas, quotes or line breaks in double quotes"
                )
            yield _make_record(path, rows.line_num, row[text], row[label], labeled)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {rows.line_num}: {error}; double the quotes inside a quoted text"
        ) from error


def read_json_lines(path: Path, labeled: bool = True) -> Iterator[Record]:
    """Read a JSON Lines file: one object per line with a text and, if ``labeled``, a label.

    Raises:
        DataError: naming file and line.
    """
    with closing(_read_lines(path)) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parse_json_line(path, number, line, labeled)


def _parse_json_line(path: Path, number: int, line: str, labeled: bool) -> Record:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{path}, line {number}: expected a JSON object")
    text = next((record[name] for name in TEXT_NAMES if name in record), None)
    label = next((record[name] for name in LABEL_NAMES if name in record), None)
    return _make_record(path, number, text, label, labeled)


def read_text(path: Path) -> Iterator[Record]:
    """Read the one review, without a label, of a text file.

    Raises:
        DataError: naming the file.
    """
    yield _make_record(path, 1, "".join(_read_lines(path)), None, labeled=False)
