"""Files of many reviews, plain or gzipped: CSV, TSV and JSON Lines, to (line, text, label)."""

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
NO_LABEL = -1  # as scikit-learn's semi-supervised estimators have it

# Python's csv stops at 131,072 characters a field. Longer ones are rather a forgotten quote than a
# review, but a file of them is the user's business.
csv.field_size_limit(16 * 2**20)


class Record(NamedTuple):
    """One review of a file; ``line`` is where it ends, counted from 1, ``label`` may be ``NO_LABEL``."""

    line: int
    text: str
    label: int


def parse_label(value: object) -> int:
    """1 for positive, 0 for negative.

    Raises:
        ValueError: it is neither.
    """
    label = LABELS.get(str(value).strip().lower())
    if label is None or isinstance(value, bool):
        raise ValueError(f"unknown label {value!r}, expected one of {', '.join(LABELS)}")
    return label


def decode(content: bytes, path: Path | str, offset: int = 0) -> str:
    """UTF-8 to text; ``offset`` is where in the file ``content`` begins.

    Raises:
        DataError: naming file and byte offset.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 at byte offset {offset + error.start}; save the file as UTF-8"
        ) from error


def _lines(path: Path) -> Generator[str, None, None]:
    """The lines of a file, line ends kept, a byte order mark dropped.

    Raises:
        DataError: the file is not UTF-8, or its gzip is damaged or cut off.
    """
    offset = 0
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            for line in stream:
                text = decode(line, path, offset)
                yield text.removeprefix("\ufeff") if offset == 0 else text
                offset += len(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut off ({error}); upload it again") from error


def _checked(path: Path, line: int, text: object, label: object, labelled: bool) -> Record:
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{path}, line {line}: the text is empty, expected a review")
    try:
        return Record(line, text, parse_label(label) if labelled else NO_LABEL)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {error}") from error


def _columns(path: Path, row: list[str], labelled: bool) -> tuple[int, int, int, bool]:
    """From the first row: the text's column, the label's, the number of columns, is it a header.

    Where no labels are wanted, the label's column may be missing; 0 stands for it then.
    """
    names = [cell.strip().lower() for cell in row]
    text = [i for i, name in enumerate(names) if name in TEXT_NAMES]
    label = [i for i, name in enumerate(names) if name in LABEL_NAMES]
    if text and (label or not labelled):
        return text[0], label[0] if label else 0, len(row), True
    if len(row) == 2 and names[0] in LABELS:
        return 1, 0, 2, False
    if not labelled and len(row) == 1:
        return 0, 0, 1, False
    if not labelled:
        raise DataError(
            f"{path}, line 1: expected a header that names {' or '.join(TEXT_NAMES)}, or rows of one column"
        )
    raise DataError(
        f"{path}, line 1: expected a header that names {' or '.join(TEXT_NAMES)} and "
        f"{' or '.join(LABEL_NAMES)}, or rows of two columns with the label first"
    )


def read_table(path: Path, delimiter: str, labelled: bool = True) -> Iterator[Record]:
    """The reviews of a CSV or TSV file, quoted as RFC 4180 says.

    Args:
        path: the file.
        delimiter: between two columns.
        labelled: whether labels are wanted; where not, they are passed over, and need not be there.

    Raises:
        DataError: naming file and line.
    """
    # Closed here, for an error's traceback would keep the file open.
    with closing(_lines(path)) as lines:
        yield from _rows(path, lines, delimiter, labelled)


def _rows(path: Path, lines: Iterator[str], delimiter: str, labelled: bool) -> Iterator[Record]:
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        first = next(rows, None)
        if first is None:
            return
        text, label, width, is_header = _columns(path, first, labelled)
        if not is_header:
            yield _checked(path, rows.line_num, first[text], first[label], labelled)
        for row in rows:
            if not row:
                continue
            if len(row) != width:
                raise DataError(
                    f"{path}, line {rows.line_num}: {len(row)} columns, expected {width}; "
                    "put texts with commas, quotes or line breaks in double quotes"
                )
            yield _checked(path, rows.line_num, row[text], row[label], labelled)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {rows.line_num}: {error}; quotes inside a quoted text are doubled"
        ) from error


def read_json_lines(path: Path, labelled: bool = True) -> Iterator[Record]:
    """The reviews of a JSON Lines file: an object a line, with a text and, if labels are wanted, a label.

    Raises:
        DataError: naming file and line.
    """
    with closing(_lines(path)) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _json_record(path, number, line, labelled)


def _json_record(path: Path, number: int, line: str, labelled: bool) -> Record:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{path}, line {number}: expected a JSON object")
    text = next((record[name] for name in TEXT_NAMES if name in record), None)
    label = next((record[name] for name in LABEL_NAMES if name in record), None)
    return _checked(path, number, text, label, labelled)


def read_text(path: Path) -> Iterator[Record]:
    """The one review of a text file, without a label.

    Raises:
        DataError: naming the file.
    """
    yield _checked(path, 1, "".join(_lines(path)), None, labelled=False)
