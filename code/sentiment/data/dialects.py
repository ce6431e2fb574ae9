"""Dialects of CSV: delimiter and quoting, detected from the first rows of a file."""

import csv
import re
from collections.abc import Callable, Iterator
from copy import copy
from itertools import tee
from typing import Any, NamedTuple, TypeVar

from byoc.errors import DataError
from sentiment.hyperparameters import CSV_DELIMITERS, CSV_QUOTING

SAMPLE_ROWS = 100
_SAMPLE_CHARACTERS = 4 * 2**20
# Longer fields and lines are a missing quote or no text at all.
MAX_FIELD = 16 * 2**20
csv.field_size_limit(MAX_FIELD)

_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_ESCAPE = re.compile(r'\\(["\\])')

Columns = TypeVar("Columns")
Row = list[str]
# The columns from the first rows; raises ValueError with the reason.
FindColumns = Callable[[list[Row]], Columns]


class Dialect(NamedTuple):
    """A delimiter and a way of quoting."""

    delimiter: str
    quoting: str

    def __str__(self) -> str:
        names = {delimiter: name for name, delimiter in CSV_DELIMITERS.items()}
        return f"{names.get(self.delimiter, repr(self.delimiter))}-{self.quoting}"

    def reader(self, lines: Iterator[str]) -> Any:
        """A ``csv.reader``."""
        if self.quoting == "unquoted":
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(map(self.unescape, lines), delimiter=self.delimiter, strict=True)

    def unescape(self, line: str) -> str:
        """A line with doubled instead of escaped quotes, if the dialect escapes them."""
        if self.quoting != "escaped" or "\\" not in line:
            return line
        return _ESCAPE.sub(lambda match: '""' if match[1] == '"' else "\\", line)


class _RowError(Exception):
    """Rows that a dialect cannot read; ``line`` is the place of the fault."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line

    def to_data_error(self, name: str, skipped_lines: int) -> DataError:
        """The error for the user."""
        return DataError(f"{name}, line {self.line + skipped_lines}: {self}")


class _Misfit(NamedTuple):
    """Why a dialect does not fit; the misfit with the largest rank explains a file that no dialect fits."""

    rank: tuple[bool, int, int]
    fault: _RowError
    width: int = 0  # number of columns, if all rows have as many


class _Fit(NamedTuple):
    dialect: Dialect
    columns: Any
    rows: list[Row]

    @property
    def width(self) -> int:
        return len(self.rows[0])


class Table(NamedTuple):
    """A CSV file whose dialect is known: all rows, each with its first line."""

    dialect: Dialect
    columns: Any
    rows: Iterator[tuple[int, Row]]


def open_table(
    name: str,
    lines: Iterator[str],
    candidates: list[Dialect],
    preferred_delimiter: str,
    find_columns: FindColumns[Any],
) -> Table | None:
    """Detect the dialect; None for a file without rows.

    A dialect fits if the first rows have equally many columns and the columns are found; a line ``sep=X``
    fixes the delimiter, and the preferred one wins. ``find_columns`` raises ValueError with the reason.

    Raises:
        DataError: no dialect fits, or several do with different rows.
    """
    (lines,) = tee(lines, 1)  # each copy of it starts here
    skipped = 0
    if match := _SEP_LINE.fullmatch(next(copy(lines), "")):
        if len(candidates) > 1:
            candidates = [Dialect(match[1], quoting) for quoting in CSV_QUOTING]
        next(lines)
        skipped = 1
    results = list(_try_all(candidates, lines, find_columns))
    fits = [result for result in results if isinstance(result, _Fit)]
    if any(result and result.width > 1 for result in results):
        fits = [fit for fit in fits if fit.width > 1 or fit.columns.is_header]
    fits = _distinct([fit for fit in fits if fit.dialect.delimiter == preferred_delimiter] or fits)
    if not fits:
        misfits = [result for result in results if isinstance(result, _Misfit)]
        if not misfits:
            return None
        raise max(misfits, key=lambda misfit: misfit.rank).fault.to_data_error(name, skipped)
    if len(fits) > 1:
        raise DataError(
            f"{name}: {fits[0].dialect} and {fits[1].dialect} both fit the first rows; set csv_dialect"
        )
    dialect = fits[0].dialect
    return Table(dialect, fits[0].columns, _read_all(name, dialect, lines, skipped))


def _try_all(
    candidates: list[Dialect], lines: Iterator[str], find_columns: FindColumns[Any]
) -> Iterator[_Fit | _Misfit | None]:
    """Try dialects; literal quotes only with delimiters that fit with no other quoting."""
    fitting = set()
    for dialect in candidates:
        if dialect.quoting == "unquoted" and dialect.delimiter in fitting:
            continue
        result = _try(dialect, copy(lines), find_columns, len(candidates) > 1)
        if isinstance(result, _Fit):
            fitting.add(dialect.delimiter)
        yield result


def _try(
    dialect: Dialect, lines: Iterator[str], find_columns: FindColumns[Any], may_be_quoted: bool
) -> _Fit | _Misfit | None:
    """None without any row."""
    rows: list[Row] = []
    fault: _RowError | None = None
    characters = 0
    try:
        for _, row in _read_rows(dialect, lines):
            rows += [row] if row else []
            characters += sum(map(len, row))
            if len(rows) == SAMPLE_ROWS or characters > _SAMPLE_CHARACTERS:
                break
    except _RowError as error:
        fault = error
    width = len(rows[0]) if rows and not fault else 0
    columns = None
    if rows:
        try:
            columns = find_columns(rows)
        except ValueError as error:
            fault = fault or _RowError(1, str(error))
    if fault:
        rank = (columns is not None, min(len(rows[0]), 2) if rows else 0, len(rows))
        return _Misfit(rank, fault, width)
    if not rows:
        return None
    if may_be_quoted and dialect.quoting == "unquoted" and _are_quoted(rows):
        return _Misfit((False, 0, 0), _RowError(1, "the texts are quoted"))
    return _Fit(dialect, columns, rows)


def _are_quoted(rows: list[Row]) -> bool:
    """Whether quotes at the beginning of cells quote, or one is never closed."""
    cells = [cell for row in rows for cell in row if cell.startswith('"')]
    is_open = any(cell.count('"') % 2 for cell in cells)
    return is_open or 2 * sum(len(cell) > 1 and cell.endswith('"') for cell in cells) > len(cells)


def _distinct(fits: list[_Fit]) -> list[_Fit]:
    """The dialects that give different rows; backslashes that escape nothing make no difference."""
    distinct: list[_Fit] = []
    for fit in fits:
        if not any(_plain(fit.rows) == _plain(before.rows) for before in distinct):
            distinct.append(fit)
    return distinct


def _plain(rows: list[Row]) -> list[Row]:
    return [[cell.replace("\\", "") for cell in row] for row in rows]


def _read_all(
    name: str, dialect: Dialect, lines: Iterator[str], skipped_lines: int
) -> Iterator[tuple[int, Row]]:
    try:
        for line, row in _read_rows(dialect, lines):
            yield line + skipped_lines, row
    except _RowError as fault:
        raise fault.to_data_error(name, skipped_lines) from fault


def _read_rows(dialect: Dialect, lines: Iterator[str]) -> Iterator[tuple[int, Row]]:
    """Rows with their first lines, an empty list for a row whose cells are all empty.

    Raises:
        _RowError: quotes or lengths are wrong, or a row has another number of columns than the first.
    """
    recorded: Row = []
    reader = dialect.reader(_record(lines, recorded))
    line, width = 1, 0
    try:
        for row in reader:
            if any(row):
                width = width or len(row)
                if len(row) != width:
                    raise _RowError(line, _width_error(dialect, row, width, reader.line_num - line))
            yield line, row if any(row) else []
            line = reader.line_num + 1
            recorded.clear()
    except csv.Error as error:
        raise _explain(dialect, recorded, line, error) from error


def _record(lines: Iterator[str], recorded: Row) -> Iterator[str]:
    """The same lines; the caller clears ``recorded`` after each row."""
    for line in lines:
        recorded.append(line)
        if len(line) >= MAX_FIELD:
            raise csv.Error(f"longer than {MAX_FIELD} characters")
        yield line


def _width_error(dialect: Dialect, row: Row, width: int, more_lines: int) -> str:
    lines = f" in {more_lines + 1} lines" if more_lines else ""
    return (
        f"{len(row)} columns{lines}, expected {width} ({dialect}); "
        "put texts with delimiters, quotes or line breaks in double quotes"
    )


def _explain(dialect: Dialect, lines: Row, first: int, error: csv.Error) -> _RowError:
    """The quote that causes an error of ``csv``."""
    text = "".join(map(dialect.unescape, lines))
    delimiter = re.escape(dialect.delimiter)
    field = re.compile(rf'(?:"[^"]*(?:""[^"]*)*"|(?!")[^{delimiter}\r\n]*)({delimiter}|\r\n?|\n|\Z)')
    position = 0
    while match := field.match(text, position):
        position = match.end()
        if not match[1]:
            return _RowError(first, f"{error} ({dialect})")
    line = first + len(re.findall(r"\r\n?|\n", text[:position]))
    fate = "never closed" if "unexpected end" in str(error) else "closed before more text"
    literal = dialect._replace(quoting="unquoted")
    return _RowError(
        line,
        f"a quote is opened here and {fate} ({dialect}); double the quotes in a text, or set "
        f"csv_dialect={literal} if no quote quotes",
    )
