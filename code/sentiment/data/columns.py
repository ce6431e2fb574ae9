"""Columns of text and label, and the meaning of labels."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from byoc.errors import DataError
from sentiment.hyperparameters import Hyperparameters
from sentiment.settings import TEXT_NAMES

# Compared without case, spaces, "_" and "-".
LABEL_NAMES = (
    "label", "sentiment", "target", "polarity", "class", "rating", "stars", "starrating", "overall", "score",
)  # fmt: skip
LABELS = {
    "1": 1, "0": 0, "true": 1, "false": 0, "pos": 1, "neg": 0, "positive": 1, "negative": 0,
    "label_1": 1, "label_0": 0,
}  # fmt: skip
# Words in names of files, and in a column of a table, that mean a split.
SPLITS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("test", "tests", "testing"), "test"),
    **dict.fromkeys(("validation", "val", "valid", "dev", "eval"), "validation"),
}
NO_LABEL = -1  # as in scikit-learn's semi-supervised estimators

_SHOWN_LABELS = 20
_MAX_LABELS = 1_000  # distinct labels beyond which the column holds no labels


class Columns(NamedTuple):
    """Positions of the columns, and whether the first row names them."""

    text: int
    label: int | None  # None without labels
    is_header: bool


def _normalize(name: str) -> str:
    return re.sub(r"[ _-]", "", name).lower()


def _find(role: str, names: Sequence[str], wanted: str, known: Sequence[str], taken: Sequence[int]) -> int:
    """Position of the only column for a role.

    Raises:
        ValueError: there is none, or there are several; lists the columns and the option.
    """
    if wanted:
        matches = [i for i, name in enumerate(names) if name.strip() == wanted] or [
            i for i, name in enumerate(names) if _normalize(name) == _normalize(wanted)
        ]
    else:
        matches = [i for i, name in enumerate(names) if _normalize(name) in known and i not in taken]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(name[:40] for name in names[:30])
    if wanted:
        problem = f"no single column {wanted!r}"
    elif matches:
        problem = f"several columns may hold the {role}: {', '.join(names[i] for i in matches)}"
    else:
        problem = f"no column is called {', '.join(known[:3])} or another known name of the {role}"
    raise ValueError(f"{problem}; the columns are {listed}; set {role}_column to one of them")


def find_in_header(names: Sequence[str], options: Hyperparameters, labeled: bool) -> Columns:
    """Find the columns by name.

    Raises:
        ValueError: a column is missing or ambiguous.
    """
    wanted = options.label_column
    taken = [i for i, name in enumerate(names) if wanted and name.strip() == wanted]
    text = _find("text", names, options.text_column, TEXT_NAMES, taken)
    label = _find("label", names, wanted, LABEL_NAMES, [text]) if labeled else None
    return Columns(text, label, True)


def find_in_rows(
    rows: Sequence[Sequence[str]], options: Hyperparameters, labeled: bool, is_text_first: bool
) -> Columns:
    """Find the columns from the first rows: a header, or two columns, or one without labels.

    A name that is a number means a column without a header, counted from 1, unless all cells of the first row
    are numbers: pandas names columns so. ``is_text_first`` is for tables without a header whose text comes
    before the label.

    Raises:
        ValueError: a column is missing or ambiguous.
    """
    first, width = rows[0], len(rows[0])
    wanted = (options.text_column, options.label_column)
    positions = [int(name) - 1 if re.fullmatch("[1-9][0-9]{0,3}", name) else width for name in wanted]
    are_numbers = all(cell.strip().isdigit() for cell in first)
    if not are_numbers and positions[0] < width and (not labeled or positions[1] < width):
        return Columns(positions[0], positions[1] if labeled else None, False)
    has_name = any(_normalize(cell) in (*TEXT_NAMES, *LABEL_NAMES) for cell in first)
    has_label = width == 2 and any(cell.strip().lower() in LABELS for cell in first)
    if any(wanted) or (has_name and not has_label):
        return find_in_header(first, options, labeled)
    if width == 2:
        are_labels = [{row[i].strip().lower() for row in rows} <= LABELS.keys() for i in range(2)]
        label = 1 if is_text_first and are_labels != [True, False] else 0
        if labeled or are_labels[label]:
            return Columns(1 - label, label if labeled else None, False)
    if width == 1 and not labeled:
        return Columns(0, None, False)
    return find_in_header(first, options, labeled)


def check_split_column(names: Sequence[str], rows: Sequence[Sequence[object]], columns: Columns) -> None:
    """Check that no column of the first rows names a split other than training.

    Raises:
        ValueError: there is such a column.
    """
    for i, name in enumerate(names):
        if i in (columns.text, columns.label):
            continue
        words = {str(row[i]).strip().lower() for row in rows}
        if words and words <= SPLITS.keys() and {SPLITS[word] for word in words} != {"training"}:
            raise ValueError(
                f"column {name[:40]} holds splits ({', '.join(sorted(words))}); write a file per split, for "
                "example train.csv and test.csv, or set split=ignore to train on every row"
            )


def normalize_label(value: object) -> str:
    """The label as text: lower case, without spaces around it and without the ".0" of an integer."""
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", str(value).strip().lower())


class Labels:
    """The meaning of labels: unambiguous words for 1 and 0, or a JSON object that replaces them."""

    def __init__(self, label_map: str = "") -> None:
        content = json.loads(label_map or "{}")
        meaning: dict[str, int | None] = {}
        for key, value in content.items():
            if meaning.setdefault(normalize_label(key), value) != value:
                raise DataError(f"label_map: {key!r} has two meanings; case and .0 make no difference")
        self._meaning = meaning or LABELS
        self.values: dict[str, int | None] = {}  # of all labels so far, as ``parse`` returns them
        self._first_unknown = ""

    def parse(self, label: str, place: str) -> int | None:
        """1 for positive, 0 for negative, ``NO_LABEL`` for an unknown label, None to leave the row out."""
        if len(self.values) == _MAX_LABELS:
            raise DataError(
                f"{place}: over {_MAX_LABELS} distinct labels, for example {label[:40]!r}; expected two "
                "classes; set label_column"
            )
        value = self.values[label] = self._meaning.get(normalize_label(label), NO_LABEL)
        if value == NO_LABEL and not self._first_unknown:
            self._first_unknown = place
        return value

    def check(self, channel: str, counts: Mapping[str, int]) -> None:
        """Check the labels of a channel after all of it was read.

        Raises:
            DataError: some are unknown; lists the labels with their counts and a ``label_map`` to copy.
        """
        unknown = [label for label in counts if self.values.get(label) == NO_LABEL]
        if not unknown:
            return
        shown = sorted(counts, key=lambda label: -counts[label])[:_SHOWN_LABELS]
        found = ", ".join(f"{label[:40]!r} ({counts[label]})" for label in shown)
        more = f" and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
        header = "; or line 1 is a header: set text_column and label_column"
        raise DataError(
            f"{self._first_unknown}: unknown label {unknown[0][:40]!r}; labels of channel {channel}: "
            f"{found}{more}\nset label_map to 1 (positive), 0 (negative) or null (left out) for each, for "
            f"example label_map={json.dumps(_suggest_map({label[:40]: counts[label] for label in shown}))}"
            f"{header if self._first_unknown.endswith(', line 1') else ''}"
        )


def _suggest_map(counts: Mapping[str, int]) -> dict[str, int | None]:
    """Known words as they are, numbers by the middle of their range, other words and rare labels left out."""
    known = sum(count for label, count in counts.items() if normalize_label(label) in LABELS)
    texts = sorted(map(normalize_label, counts))
    numbers = {text: float(text) for text in texts if re.fullmatch(r"[+-]?\d+(\.\d+)?", text)}
    if known > 0.9 * sum(counts.values()) or not numbers or len(numbers) < len(texts) - 1:
        return {text: LABELS.get(text) for text in texts}
    middle = (min(numbers.values()) + max(numbers.values())) / 2
    ordered = sorted(numbers, key=lambda text: numbers[text])
    suggestion = {text: None if numbers[text] == middle else int(numbers[text] > middle) for text in ordered}
    return suggestion | {text: LABELS.get(text) for text in texts if text not in numbers}
