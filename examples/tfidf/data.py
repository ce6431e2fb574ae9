"""Texts and labels from CSV and JSON Lines."""

import csv
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from byoc.errors import DataError
from byoc.package import visible_files

Examples = list[tuple[str, str]]

_READERS: dict[str, Callable[[Iterator[str]], Iterator[Any]]] = {
    ".csv": lambda lines: csv.DictReader(lines, strict=True),
    ".jsonl": lambda lines: map(json.loads, filter(str.strip, lines)),
}


def read_channel(name: str, folder: Path) -> Examples:
    """Text and label of each example in the files of a channel.

    Raises:
        DataError: a file or a line cannot be used, or there is no example.
    """
    examples = [example for path in visible_files(folder) for example in _read_file(path)]
    if not examples:
        raise DataError(f"channel {name}: no examples in {folder}; expected .csv or .jsonl files")
    return examples


def split(examples: Examples, hyperparameters: Any) -> tuple[Examples, Examples]:
    """Training and validation examples, in random order."""
    shuffled = random.Random(hyperparameters.seed).sample(examples, len(examples))
    count = max(1, round(hyperparameters.validation_fraction * len(examples)))
    return shuffled[count:], shuffled[:count]


def _read_file(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix not in _READERS:
        raise DataError(f"{path}: unknown format; expected .csv or .jsonl")
    number = 0

    def decoded() -> Iterator[str]:
        nonlocal number
        for line in stream:
            number += 1
            yield line.decode("utf-8-sig")  # spreadsheets write a byte-order mark

    # In binary: a text stream decodes ahead, so that a fault would get the number of an earlier line.
    with path.open("rb") as stream:
        try:
            for row in _READERS[path.suffix](decoded()):
                yield _example(row)
        except (ValueError, RecursionError, csv.Error) as error:
            raise DataError(f"{path}, line {number}: {getattr(error, 'msg', error)}") from error


def _example(row: Any) -> tuple[str, str]:
    """Text and label of a CSV row or a JSON object.

    Raises:
        ValueError: text or label is missing or has the wrong type.
    """
    text, label = map(row.get, ("text", "label")) if isinstance(row, dict) else (None, None)
    if not isinstance(text, str) or not isinstance(label, str | int) or label == "" or None in row:
        raise ValueError("expected a text and a label, a string or an integer; CSV: quote texts with commas")
    return text, str(label)
