"""Readers of files with many reviews: CSV, TSV, JSON, fastText lines and parquet."""

import codecs
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, islice, product, starmap
from pathlib import Path
from typing import Any, BinaryIO, cast

from byoc.errors import DataError
from sentiment.data.archives import File
from sentiment.data.columns import Columns, check_split_column, find_in_header, find_in_rows
from sentiment.data.dialects import MAX_FIELD, SAMPLE_ROWS, Dialect, open_table
from sentiment.hyperparameters import CSV_DELIMITERS, CSV_DIALECTS, CSV_QUOTING, Hyperparameters

ACCEPTED = (
    "CSV, TSV, JSON Lines, JSON arrays, parquet, fastText lines, text<TAB>label lines (.txt), or folders "
    "pos/ and neg/; also as .gz, .bz2, .zip, .tar or .tar.gz"
)
ACCEPTED_UNLABELED = (
    "CSV, TSV, JSON Lines, JSON arrays, parquet, .txt files of one review each, or a folder unsup/; also as "
    ".gz, .bz2, .zip, .tar or .tar.gz"
)

_CHUNK = 2**16
_MAX_KEYS = 1_000  # sets of keys of JSON objects that are remembered
_FASTTEXT_LINE = re.compile(r"__label__(\S+)[ \t,]+(?!__label__)(\S.*)", re.DOTALL)


# Line of a review, counted from 1, where it begins (in parquet: its row); text; label as in the file, empty
# without labels. A named tuple would take a tenth of the time of reading.
Record = tuple[int, str, str]


@dataclass(slots=True)
class FileReport:
    """How a file was read."""

    file: str
    split: str
    format: str = ""
    text: str = ""  # column
    label: str = ""  # column
    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)  # as in the file
    skipped: Counter[str] = field(default_factory=Counter)  # rows by reason

    def to_json(self, meaning: Mapping[str, int | None]) -> dict[str, Any]:
        """All fields; ``labels`` as count and meaning, which is None for labels that are left out."""
        labels = {label: {"rows": n, "meaning": meaning[label]} for label, n in self.labels.most_common(20)}
        return asdict(self) | {"labels": labels, "skipped": dict(self.skipped)}

    def describe(self, meaning: Mapping[str, int | None]) -> str:
        """One line for the log."""
        parts = [f"{self.file} ({self.split}): {self.format}", f"text: {self.text}"]
        if self.label:
            counts = [
                f"{label!r} = {'left out' if meaning[label] is None else meaning[label]} ({n})"
                for label, n in self.labels.most_common(20)
            ]
            parts += [f"label: {self.label}", f"labels: {', '.join(counts) or 'none'}"]
        parts.append(f"{self.rows} rows")
        parts += [f"skipped {n} rows, {reason}" for reason, n in self.skipped.items() if n]
        return "; ".join(parts)


@contextmanager
def open_text(file: File) -> Iterator[tuple[io.TextIOWrapper, bytes]]:
    """Open a file as UTF-8, or as UTF-16 if it begins with its byte order mark; keeps all line ends.

    Yields the stream and the first bytes.

    Raises:
        DataError: naming file and byte offset.
    """
    with file.open() as stream:
        head = stream.peek(_CHUNK)
        is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        # Universal newlines take three times as long; only the old Mac's need them.
        newline = "\n" if b"\n" in head or b"\r" not in head else ""
        text = io.TextIOWrapper(cast(BinaryIO, stream), "utf-16" if is_utf16 else "utf-8", newline=newline)
        text._CHUNK_SIZE = _CHUNK  # type: ignore[attr-defined]  # the default makes eight times as many calls
        try:
            if head.startswith(codecs.BOM_UTF8):
                text.read(1)
            if is_utf16:
                head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
            yield text, head.removeprefix(codecs.BOM_UTF8).lstrip()
        except UnicodeDecodeError as error:
            offset = stream.count - len(error.object) + error.start
            raise DataError(
                f"{file.name}: not UTF-8 at byte offset {offset}; save the file as UTF-8, for example by "
                "iconv -f WINDOWS-1252 -t UTF-8"
            ) from error


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines; pieces of a longer one than ``MAX_FIELD`` characters."""
    return iter(partial(text.readline, MAX_FIELD), "")


def _numbered_lines(file: File, text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_lines(text), start=1):
        if len(line) == MAX_FIELD:
            raise DataError(f"{file.name}, line {number}: over {MAX_FIELD} characters; expected one text")
        yield number, line


@dataclass(slots=True)
class RecordReader:
    """Reads a file in the format of its suffix and content; completes ``report``."""

    file: File
    options: Hyperparameters
    labeled: bool
    report: FileReport

    def read(self) -> Iterator[Record]:
        """Read the records.

        Raises:
            DataError: the format is unknown, or a line is invalid; names file and line.
        """
        suffixes = [suffix.lower() for suffix in self.file.path.suffixes]
        suffix = (suffixes[:-1] if self.file.is_compressed else suffixes)[-1:]
        match suffix:
            case [".csv" | ".tsv" | ".tab" | ".txt" | ".ft" | ".train" | ".valid" | ".test"]:
                return self._read_lines(suffix[0])
            case [".json" | ".jsonl" | ".ndjson" | ".manifest"]:
                return self._read_json()
            case [".parquet"]:
                return self._read_parquet()
        accepted = ACCEPTED if self.labeled else ACCEPTED_UNLABELED
        raise DataError(f"{self.file.name} has an unknown format; expected {accepted}")

    def _read_lines(self, suffix: str) -> Iterator[Record]:
        with open_text(self.file) as (text, head):
            if head.startswith(b"__label__"):
                yield from self._read_fasttext(text)
            elif suffix in (".csv", ".tsv", ".tab") or self.labeled:
                yield from self._read_table(_lines(text), suffix)
            else:
                self.report.format = "text, one review"
                yield 1, text.read(MAX_FIELD), ""

    def _read_table(self, lines: Iterator[str], suffix: str) -> Iterator[Record]:
        is_table, report = suffix in (".csv", ".tsv", ".tab"), self.report
        if not is_table:
            candidates = [Dialect("\t", "unquoted")]
        elif self.options.csv_dialect in CSV_DIALECTS:
            delimiter, _, quoting = self.options.csv_dialect.partition("-")
            candidates = [Dialect(CSV_DELIMITERS[delimiter], quoting)]
        else:
            candidates = list(starmap(Dialect, product(CSV_DELIMITERS.values(), CSV_QUOTING)))

        def find(rows: list[list[str]]) -> Columns:
            columns = find_in_rows(rows, self.options, self.labeled, is_text_first=not is_table)
            if columns.is_header:
                self._check_split_column(rows[0], rows[1:], columns)
            return columns

        table = open_table(self.file.name, lines, candidates, "" if suffix == ".csv" else "\t", find)
        if table is None:
            return
        report.format = f"CSV, {table.dialect}" if is_table else "text, tab, label"
        text, label, is_header = table.columns
        report.text, report.label = f"column {text + 1}", f"column {label + 1}" if label is not None else ""
        for line, row in table.rows:
            if not row:
                report.skipped["empty row"] += 1
                continue
            record = row[text], row[label] if label is not None else ""
            if is_header:
                is_header = False
                report.text, report.label = record
            else:
                yield line, *record

    def _read_fasttext(self, text: io.TextIOWrapper) -> Iterator[Record]:
        self.report.format, self.report.label = "fastText lines", "__label__"
        for number, line in _numbered_lines(self.file, text):
            if match := _FASTTEXT_LINE.fullmatch(line.strip()):
                yield number, match[2], match[1].rstrip(",")
            elif line.strip():
                raise DataError(f"{self.file.name}, line {number}: expected one __label__LABEL and a text")

    def _read_json(self) -> Iterator[Record]:
        file, report = self.file, self.report
        keys: dict[tuple[str, ...], tuple[str, str]] = {}
        with open_text(file) as (text, head):
            report.format = "JSON array" if head.startswith(b"[") else "JSON Lines"
            values = _iterate_array(file, text) if head.startswith(b"[") else _iterate_json_lines(file, text)
            first = list(islice(values, SAMPLE_ROWS))
            for line, value in chain(first, values):
                if not isinstance(value, dict):
                    raise DataError(f"{file.name}, line {line}: expected a JSON object with text and label")
                record = _read_ground_truth(value, self.options.label_column) if "source" in value else value
                names = tuple(record)
                if names not in keys:
                    keys = {} if len(keys) > _MAX_KEYS else keys
                    try:
                        rows = [[*v.values()] for _, v in first if isinstance(v, dict) and tuple(v) == names]
                        keys[names] = self._find_names(names, rows)
                    except ValueError as error:
                        raise DataError(f"{file.name}, line {line}: {error}") from error
                report.text, report.label = keys[names]
                content, label = record[report.text], record.get(report.label)
                yield line, content if isinstance(content, str) else "", _label_text(label)

    def _find_names(self, names: Sequence[str], rows: Sequence[Sequence[object]]) -> tuple[str, str]:
        """Names of the columns of text and label; empty without labels."""
        columns = find_in_header(names, self.options, self.labeled)
        self._check_split_column(names, rows, columns)
        return names[columns.text], names[columns.label] if columns.label is not None else ""

    def _check_split_column(
        self, names: Sequence[str], rows: Sequence[Sequence[object]], columns: Columns
    ) -> None:
        if self.report.split == "training" and self.options.split == "auto":
            check_split_column(names, rows, columns)

    def _read_parquet(self) -> Iterator[Record]:
        from arro3.io import read_parquet  # noqa: PLC0415 (a library of 35 MB, for this format alone)

        name, report = self.file.name, self.report
        report.format = "parquet"
        with self.file.open_seekable() as stream:
            try:
                with _silence_panics():
                    reader = read_parquet(stream)
                names, row = reader.schema.names, 0
                # The type stubs of arro3 0.9 are wrong here.
                batches = iter(cast(Any, reader))
                while (batch := _next_batch(batches)) is not None:
                    if not row:
                        first = batch.slice(0, min(SAMPLE_ROWS, batch.num_rows))
                        is_text = ["Utf8" in str(kind) for kind in first.schema.types]
                        columns = [
                            first.column(name).to_pylist() if text else [None] * first.num_rows
                            for name, text in zip(names, is_text, strict=True)
                        ]
                        rows = list(zip(*columns, strict=True))
                        report.text, report.label = self._find_names(names, rows)
                    texts = batch.column(report.text).to_pylist()
                    labels = batch.column(report.label).to_pylist() if report.label else [None] * len(texts)
                    for review, value in zip(texts, labels, strict=True):
                        row += 1
                        yield row, review if isinstance(review, str) else "", _label_text(value)
            except ValueError as error:
                raise DataError(f"{name}: {error}") from error
            except BaseException as error:
                # arro3 panics, and the exception of a panic is no Exception.
                if type(error).__name__ not in ("PanicException", "Exception", "ArrowException"):
                    raise
                raise DataError(f"{name}: no parquet file, or a damaged one; upload it again") from error


def _label_text(label: Any) -> str:
    if label is None:
        return ""
    return json.dumps(label) if isinstance(label, dict | list) else str(label)


def _read_ground_truth(record: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Text and labels of a line of an augmented manifest; another object as it is.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
    """
    names = [name for name in record if isinstance(record.get(f"{name}-metadata"), dict)]
    if not names:
        return record
    labels = {name: record[f"{name}-metadata"].get("class-name", record[name]) for name in names}
    labels = labels if wanted in labels or len(labels) > 1 else {"label": next(iter(labels.values()))}
    return {"text": record["source"], **labels}


def _parse_json(file: File, line: int, content: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.name}, line {line}: not JSON ({error}); expected an object") from error


def _iterate_json_lines(file: File, text: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    for number, line in _numbered_lines(file, text):
        if line.strip():
            yield number, _parse_json(file, number, line)


def _iterate_array(file: File, text: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    """Lines and elements of a JSON array, of which only a part is in memory."""
    decoder, separator = json.JSONDecoder(), re.compile(r"\s*\[\s*")
    buffer, position, line = text.read(_CHUNK), 0, 1
    while True:
        match = separator.match(buffer, position)
        start = match.end() if match else position
        if buffer.startswith("]", start):
            line += buffer.count("\n", position, start)
            _check_end(file, text, buffer[start + 1 :] or text.read(_CHUNK), line)
            return
        try:
            value, end = decoder.raw_decode(buffer, start)
        except (ValueError, RecursionError) as error:
            more = text.read(max(_CHUNK, len(buffer) - position))
            if isinstance(error, RecursionError) or not more or len(buffer) - position > MAX_FIELD:
                line += buffer.count("\n", position, getattr(error, "pos", start))
                reason = getattr(error, "msg", error)
                raise DataError(f"{file.name}, line {line}: not JSON ({reason})") from error
            buffer, position = buffer[position:] + more, 0
            continue
        line += buffer.count("\n", position, start)
        yield line, value
        line += buffer.count("\n", start, end)
        position, separator = end, re.compile(r"\s*,?\s*")


def _check_end(file: File, text: io.TextIOWrapper, rest: str, line: int) -> None:
    """Check that nothing follows a JSON array; ``rest`` is the part read after it, from ``line`` on."""
    while rest and rest.isspace():
        line += rest.count("\n")
        rest = text.read(_CHUNK)
    if rest:
        line += rest.count("\n", 0, len(rest) - len(rest.lstrip()))
        raise DataError(f"{file.name}, line {line}: expected the end of the file after the JSON array")


def _next_batch(batches: Iterator[Any]) -> Any:
    with _silence_panics():
        return next(batches, None)


@contextmanager
def _silence_panics() -> Iterator[None]:
    """Keep the traceback of a panic, which Rust writes itself, from stderr; it is raised as well."""
    stderr = os.dup(2)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def read_text(file: File) -> str:
    """Read a file of one review."""
    with open_text(file) as (text, _):
        return text.read(MAX_FIELD)
