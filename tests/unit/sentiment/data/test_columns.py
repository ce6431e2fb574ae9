"""Columns of text and label, and the meaning of labels."""

import json
from pathlib import Path

import pytest

from byoc.errors import DataError, HyperparameterError
from byoc.hyperparameters import parse_hyperparameters
from sentiment.data.columns import LABEL_NAMES
from sentiment.hyperparameters import Hyperparameters
from sentiment.settings import TEXT_NAMES
from tests.support.review_files import read, write_files


def read_csv(
    folder: Path, content: str, channel: str = "training", **hyperparameters: str
) -> list[tuple[str, int]]:
    return read(write_files(folder, {"r.csv": content}), channel, **hyperparameters)


@pytest.mark.parametrize("text", [*TEXT_NAMES, "reviewText", "Review_Text", "review-body", " TEXT "])
@pytest.mark.parametrize("label", [*LABEL_NAMES, "Label", "star_rating"])
def test_header_names_the_columns(tmp_path: Path, text: str, label: str) -> None:
    assert read_csv(tmp_path, f"id,{label},title,{text}\n7,1,x,fine\n") == [("fine", 1)]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,review,text,label", "several columns may hold the text: review, text; the columns are id"),
        ("text,sentiment,score,x", "several columns may hold the label: sentiment, score"),
        ("id,words,label,x", "no column is called text, review, sentence .* set text_column"),
        ("id,text,mood,x", "no column is called label, sentiment, target .* set label_column"),
        ("text,text,label,x", "several columns may hold the text: text, text"),
        ("a,b,c,d", ".*the columns are a, b, c, d; set text_column"),
    ],
)
def test_ambiguous_header_is_rejected(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"r\.csv, line 1: {message}"):
        read_csv(tmp_path, f"{header}\n1,2,1,0\n")


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("id,review,label,text", {"text_column": "text"}),
        ("sentiment,review,label,content", {"text_column": "content", "label_column": "label"}),
        ("a,b,c,d", {"text_column": "d", "label_column": "c"}),
        ("a,b,My Label,My Text", {"text_column": "my_text", "label_column": "mylabel"}),
        ("text,b,review,d", {"text_column": "d", "label_column": "review"}),
    ],
)
def test_options_choose_columns(tmp_path: Path, header: str, options: dict[str, str]) -> None:
    assert read_csv(tmp_path, f"{header}\n7,8,1,fine\n", **options) == [("fine", 1)]


@pytest.mark.parametrize(
    ("text_column", "rows"), [("3", "3,title,fine\n1,title,dull\n"), ("2", "3,fine,1\n1,dull,3\n")]
)
def test_number_counts_columns_without_a_header(tmp_path: Path, text_column: str, rows: str) -> None:
    """Although a cell of the first row is one of the numbers."""
    options = {"text_column": text_column, "label_column": "1", "label_map": '{"1": 0, "3": 1}'}
    assert read_csv(tmp_path, rows, **options) == [("fine", 1), ("dull", 0)]


def test_numbers_may_be_names_of_columns(tmp_path: Path) -> None:
    rows = "0,1,2\nfine,7,1\n"
    assert read_csv(tmp_path, rows, text_column="0", label_column="2") == [("fine", 1)]


SPLIT_ROWS = [("test", "fine", 1), ("train", "dull", 0)]
SPLIT_FILES = {
    "r.csv": "type,text,label\n" + "".join(f"{a},{b},{c}\n" for a, b, c in SPLIT_ROWS),
    "r.jsonl": "".join(json.dumps({"type": a, "text": b, "label": c}) + "\n" for a, b, c in SPLIT_ROWS),
    "r.json": json.dumps([{"type": a, "text": b, "label": c} for a, b, c in SPLIT_ROWS]),
}


@pytest.mark.parametrize("name", SPLIT_FILES)
def test_column_of_splits_is_rejected(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {name: SPLIT_FILES[name]})
    with pytest.raises(DataError, match=r"line 1: column type holds splits \(test, train\); .* split=ignore"):
        read(tmp_path)
    assert len(read(tmp_path, split="ignore")) == len(read(tmp_path, "validation")) == 2


def test_column_of_training_rows_is_read(tmp_path: Path) -> None:
    assert read_csv(tmp_path, "split,text,label\ntrain,fine,1\ntrain,dull,0\n") == [("fine", 1), ("dull", 0)]


def test_missing_option_column_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="no single column 'body'; the columns are text, label; set text_column"
    ):
        read_csv(tmp_path, "text,label\nfine,1\n", text_column="body")


def test_numbers_choose_columns_without_header(tmp_path: Path) -> None:
    rows = '"0","14","Mon","NO","me","dull"\n"4","15","Tue","NO","me","fine"\n'
    options = {"text_column": "6", "label_column": "1", "label_map": '{"0": 0, "4": 1}'}
    assert read_csv(tmp_path, rows, **options) == [("dull", 0), ("fine", 1)]


@pytest.mark.parametrize("rows", ["0,dull\n1,fine\n", "0,text\n1,fine\n", "pos,label\nneg,text\n"])
def test_label_comes_first_without_header(tmp_path: Path, rows: str) -> None:
    assert len(read_csv(tmp_path, rows)) == 2


def test_unlabeled_needs_only_a_text(tmp_path: Path) -> None:
    assert read_csv(tmp_path, "id,text,sentiment,label\n1,fine,x,y\n", "unlabeled") == [("fine", -1)]


LABELS = {
    1: ["1", "1.0", "1.000", "true", "True", "TRUE", "pos", "POS", "Positive", "LABEL_1", "label_1", " 1 "],
    0: ["0", "0.0", "false", "False", "neg", "Negative", "LABEL_0", "label_0"],
}


@pytest.mark.parametrize(("label", "value"), [(text, value) for value in LABELS for text in LABELS[value]])
def test_label_spellings(tmp_path: Path, label: str, value: int) -> None:
    assert read_csv(tmp_path, f"text,label\nfine,{label}\n") == [("fine", value)]


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "true", "LABEL_1"])
def test_json_label_spellings(tmp_path: Path, value: object) -> None:
    write_files(tmp_path, {"r.jsonl": json.dumps({"text": "fine", "label": value})})
    assert read(tmp_path) == [("fine", 1)]


@pytest.mark.parametrize(
    ("labels", "suggestion"),
    [
        ("1 2 2", {"1": 0, "2": 1}),
        ("-1 1", {"-1": 0, "1": 1}),
        ("0 4 2", {"0": 0, "2": None, "4": 1}),
        ("1 2 3 4 5", {"1": 0, "2": 0, "3": None, "4": 1, "5": 1}),
        ("1.0 5.0 10.0", {"1": 0, "5": 0, "10": 1}),
        ("positive negative neutral", {"negative": 0, "neutral": None, "positive": 1}),
        ("0 1 2", {"0": 0, "1": None, "2": 1}),
        ("good bad", {"bad": None, "good": None}),
    ],
)
def test_unknown_labels_suggest_a_map(tmp_path: Path, labels: str, suggestion: dict[str, int | None]) -> None:
    rows = "".join(f"fine,{label}\n" for label in labels.split())
    with pytest.raises(DataError) as caught:
        read_csv(tmp_path, f"text,label\n{rows}")
    assert f"label_map={json.dumps(suggestion)}" in str(caught.value)


def test_label_map_may_leave_rows_out(tmp_path: Path) -> None:
    rows = "text,stars\nfine,5\nmeh,3.0\ndull,1\n"
    assert read_csv(tmp_path, rows, label_map='{"1": 0, "3": null, "5": 1}') == [("fine", 1), ("dull", 0)]


def test_label_map_replaces_known_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: unknown label '0'"):
        read_csv(tmp_path, "text,label\nfine,0\n", label_map='{"1": 0, "2": 1}')


def test_unknown_labels_are_counted_over_all_files(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "text,label\nx,1\ny,2\n", "b.csv": "text,label\nx,2\ny,neutral\n"})
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "a.csv, line 3: unknown label '2'" in str(caught.value)
    assert "'2' (2), '1' (1), 'neutral' (1)" in str(caught.value)


def test_at_most_twenty_labels_are_listed(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{i}\n" for i in range(30))
    with pytest.raises(DataError, match="and 10 more"):
        read_csv(tmp_path, f"text,label\n{rows}")


def test_column_without_labels_is_rejected_early(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{i}\n" for i in range(1_500))
    with pytest.raises(DataError, match="line 1002: over 1000 distinct labels"):
        read_csv(tmp_path, f"text,label\n{rows}")


def test_wrong_label_in_first_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)line 1: unknown label '2'; .*or line 1 is a header"):
        read_csv(tmp_path, "2,fine\n1,good\n")


@pytest.mark.parametrize("label_map", ['{"1": 1, "1.0": 0}', '{"pos": 0, "Pos": 1}'])
def test_label_with_two_meanings_is_rejected(tmp_path: Path, label_map: str) -> None:
    with pytest.raises(DataError, match=r"label_map: .* has two meanings"):
        read_csv(tmp_path, "text,label\nfine,1\n", label_map=label_map)


@pytest.mark.parametrize(
    "value", ['{"1": 1, "1": 0}', '{"1": 2}', '{"1": true}', "[1]", "text", '{"1": "0"}', '{"1": 0.5}']
)
def test_invalid_label_map_is_rejected(value: str) -> None:
    with pytest.raises(HyperparameterError, match=r"label_map: .* is not a JSON object of 0, 1 and null"):
        parse_hyperparameters(Hyperparameters, {"label_map": value})


@pytest.mark.parametrize(
    "value", ['{"4": 1, "0": null}', json.dumps('{"4": 1, "0": null}'), {"4": 1, "0": None}]
)
def test_label_map_may_be_encoded_twice(value: object) -> None:
    parsed = parse_hyperparameters(Hyperparameters, {"label_map": value})
    assert json.loads(parsed.label_map) == {"4": 1, "0": None}


@pytest.mark.parametrize(("value", "expected"), [("6", "6"), ('"text"', "text"), ("true", "true"), (6, "6")])
def test_column_name_stays_a_string(value: object, expected: str) -> None:
    assert parse_hyperparameters(Hyperparameters, {"text_column": value}).text_column == expected
