"""Dialects of CSV."""

from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data.channels import ChannelReader
from sentiment.hyperparameters import Hyperparameters
from tests.support.review_files import read, write_files

EXPECTED = [('He said "hi", ok; or\tnot', 1), ("dull", 0)]


@pytest.mark.parametrize(
    ("dialect", "content"),
    [
        ("comma-doubled", 'text,label\n"He said ""hi"", ok; or\tnot",1\ndull,0\n'),
        ("semicolon-doubled", 'text;label\n"He said ""hi"", ok; or\tnot";1\ndull;0\n'),
        ("tab-doubled", 'text\tlabel\n"He said ""hi"", ok; or\tnot"\t1\ndull\t0\n'),
        ("pipe-doubled", 'text|label\n"He said ""hi"", ok; or\tnot"|1\ndull|0\n'),
        ("comma-escaped", 'text,label\n"He said \\"hi\\", ok; or\tnot",1\ndull,0\n'),
        ("semicolon-escaped", 'text;label\n"He said \\"hi\\", ok; or\tnot";1\ndull;0\n'),
        ("tab-escaped", '"text"\t"label"\n"He said \\"hi\\", ok; or\tnot"\t"1"\n"dull"\t"0"\n'),
        ("semicolon-doubled", 'sep=;\ntext;label\n"He said ""hi"", ok; or\tnot";1\ndull;0\n'),
        ("'^'-doubled", '"sep=^"\r\ntext^label\r\n"He said ""hi"", ok; or\tnot"^1\r\ndull^0\r\n'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialect_is_detected(tmp_path: Path, dialect: str, content: str, end: str, encoding: str) -> None:
    text = content.replace("\r\n", "\n").replace("\n", end)
    write_files(tmp_path, {"r.csv": text.encode(encoding)})
    reader = ChannelReader("training", tmp_path, Hyperparameters())
    assert [(review.text, review.label) for review in reader.read("training")] == EXPECTED
    assert reader.reports[0]["format"] == f"CSV, {dialect}"


def test_quotes_may_quote_nothing(tmp_path: Path) -> None:
    content = 'id\tsentiment\treview\n5_8\t1\t"The Wiz" is good\n1_1\t0\tso "bad\n'
    assert read(write_files(tmp_path, {"r.tsv": content})) == [('"The Wiz" is good', 1), ('so "bad', 0)]


def test_unquoted_needs_no_quoted_texts(tmp_path: Path) -> None:
    content = 'text,label\n"fine",1\n"dull" film,0\n"good",1\n'
    with pytest.raises(DataError, match="line 3: a quote is opened here and closed before more text"):
        read(write_files(tmp_path, {"r.csv": content}))


def test_escaped_backslash_ends_a_text(tmp_path: Path) -> None:
    content = 'text,label\n"a \\"b\\"",1\n"ends in \\\\",0\n"C:\\new",1\n'
    expected = [('a "b"', 1), ("ends in \\", 0), ("C:\\new", 1)]
    assert read(write_files(tmp_path, {"r.csv": content})) == expected


def test_lone_backslash_is_kept(tmp_path: Path) -> None:
    assert read(write_files(tmp_path, {"r.csv": 'text,label\n"a \\ b, c",1\n'})) == [("a \\ b, c", 1)]


@pytest.mark.parametrize("rows", [",\n,,,\n\n", ",\r\n,\r\n", "\n\n"])
def test_trailing_empty_rows_are_skipped(tmp_path: Path, rows: str) -> None:
    assert read(write_files(tmp_path, {"r.csv": "text,label\nfine,1\n" + rows})) == [("fine", 1)]


def test_tsv_prefers_tabs(tmp_path: Path) -> None:
    assert read(write_files(tmp_path, {"r.tsv": "1\tfine, really\n0\tdull, really\n"})) == [
        ("fine, really", 1),
        ("dull, really", 0),
    ]


def test_csv_suffix_may_hold_tabs(tmp_path: Path) -> None:
    assert read(write_files(tmp_path, {"r.csv": "text\tlabel\na, b\t1\nc\t0\n"})) == [("a, b", 1), ("c", 0)]


AMBIGUOUS = "1,fine;really\n0,dull;really\n"


def test_ambiguous_dialect_is_rejected(tmp_path: Path) -> None:
    message = "comma-doubled and semicolon-doubled both fit the first rows; set csv_dialect"
    with pytest.raises(DataError, match=message):
        read(write_files(tmp_path, {"r.csv": AMBIGUOUS}))


def test_csv_dialect_decides(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.csv": AMBIGUOUS})
    assert read(tmp_path, csv_dialect="comma-doubled")[0] == ("fine;really", 1)
    assert read(tmp_path, csv_dialect="semicolon-unquoted", label_map='{"1,fine": 1, "0,dull": 0}') == [
        ("really", 1),
        ("really", 0),
    ]


def test_single_columns_are_the_same_in_all_dialects(tmp_path: Path) -> None:
    assert len(read(write_files(tmp_path, {"r.csv": "fine\ndull\n"}), "unlabeled")) == 2


PLAIN_ROWS = "fine,1\n" * 150


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ('text,label\nfine,1\n"never closed,0\nx,1\n', 3, "never closed"),
        (f'text,label\n{PLAIN_ROWS}"never closed,0\n{PLAIN_ROWS}', 152, "never closed"),
        (f'text,label\n{PLAIN_ROWS}"never closed,0\n"x",1\n{PLAIN_ROWS}', 152, "closed before more text"),
        ('text,label\n"two\nlines","1"\n"a\nb","never closed\n\n', 5, "never closed"),
        ('text,label\r"a\rb",1\r"never closed,0\r', 4, "never closed"),
        ('text;label\n"a \\" b";1\n"never closed;0\n', 3, "never closed"),
    ],
)
def test_open_quote_is_rejected_with_its_line(tmp_path: Path, content: str, line: int, reason: str) -> None:
    with pytest.raises(DataError, match=rf"r\.csv, line {line}: a quote is opened here and {reason}"):
        read(write_files(tmp_path, {"r.csv": content}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nfine,1\na,b,1\n", r"line 3: 3 columns, expected 2 \(comma-doubled\)"),
        ("text;label\nfine;1\na;b;1\n", r"line 3: 3 columns, expected 2 \(semicolon-doubled\)"),
        (f"text,label\n{PLAIN_ROWS}a,b,1\n", "line 152: 3 columns, expected 2"),
        ('text,label\n"a\nb",1,2\n', "line 2: 3 columns in 2 lines, expected 2"),
        ("sep=;\ntext;label\nfine\n", "line 3: 1 columns, expected 2"),
    ],
)
def test_other_width_is_rejected_with_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write_files(tmp_path, {"r.csv": content}))


def test_endless_line_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.data.formats.MAX_FIELD", 1_000)
    monkeypatch.setattr("sentiment.data.dialects.MAX_FIELD", 1_000)
    with pytest.raises(DataError, match="line 2: longer than 1000 characters"):
        read(write_files(tmp_path, {"r.csv": f"text,label\n{'a' * 2_000},1\n"}))
