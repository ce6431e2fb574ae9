"""CSV, TSV and JSON Lines."""

import gzip
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data.formats import NO_LABEL, Record, read_json_lines, read_table, read_text


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def csv_path(tmp_path: Path) -> Path:
    return tmp_path / "reviews.csv"


@pytest.mark.parametrize("header", ["text,label", "label,text", "id,Review, Sentiment ", "sentiment,review"])
def test_header_names_the_columns(csv_path: Path, header: str) -> None:
    names = [name.strip().lower() for name in header.split(",")]
    row = ",".join({"id": "7", "text": "fine", "review": "fine"}.get(name, "pos") for name in names)
    assert list(read_table(write(csv_path, f"{header}\n{row}\n"), ",")) == [Record(2, "fine", 1)]


def test_label_comes_first_without_header(csv_path: Path) -> None:
    records = list(read_table(write(csv_path, "0,dull\n1,fine\n"), ","))
    assert records == [Record(1, "dull", 0), Record(2, "fine", 1)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [("1", 1), ("0", 0), ("pos", 1), ("neg", 0), ("Positive", 1), ("negative", 0), (" 1 ", 1)],
)
def test_label_spellings(csv_path: Path, label: str, expected: int) -> None:
    assert [r.label for r in read_table(write(csv_path, f"text,label\nfine,{label}\n"), ",")] == [expected]


def test_quoted_text_may_contain_delimiters(csv_path: Path) -> None:
    content = 'text,label\n"a, ""b""\nc",1\nd,0\n'
    assert list(read_table(write(csv_path, content), ",")) == [
        Record(3, 'a, "b"\nc', 1),
        Record(4, "d", 0),
    ]


def test_tsv_is_separated_by_tabs(tmp_path: Path) -> None:
    path = write(tmp_path / "r.tsv", "id\tsentiment\treview\n5_3\t1\tfine, really\n")
    assert list(read_table(path, "\t")) == [Record(2, "fine, really", 1)]


def test_byte_order_mark_is_dropped(csv_path: Path) -> None:
    assert len(list(read_table(write(csv_path, "\ufefftext,label\nfine,1\n"), ","))) == 1


def test_gzipped_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv.gz", gzip.compress(b"1,fine\n"))
    assert list(read_table(path, ",")) == [Record(1, "fine", 1)]


def test_long_text_is_read(csv_path: Path) -> None:
    assert len(next(read_table(write(csv_path, f"1,{'a ' * 200_000}\n"), ",")).text) == 400_000


def test_empty_file_has_no_reviews(csv_path: Path) -> None:
    assert list(read_table(write(csv_path, ""), ",")) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nfine,1\na,b,1\n", "line 3: 3 columns, expected 2"),
        ("text,label\nfine,5\n", "line 2: unknown label '5'"),
        ("text,label\n ,1\n", "line 2: the text is empty"),
        ("1,\n", "line 1: the text is empty"),
        ("words,stars\nfine,1\n", "line 1: expected a header"),
        ("fine\n", "line 1: expected a header"),
        ("\n1,fine\n", "line 1: expected a header"),
        ('1,"fine"d\n', "line 1: "),
        ('1,"never closed\n', "line 1: unexpected end of data"),
    ],
)
def test_invalid_table_is_rejected_with_line(csv_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        list(read_table(write(csv_path, content), ","))
    assert str(csv_path) in str(caught.value)
    assert message in str(caught.value)


def test_invalid_utf8_is_rejected_with_offset(csv_path: Path) -> None:
    with pytest.raises(DataError, match=r"reviews\.csv: not UTF-8 at byte offset 18"):
        list(read_table(write(csv_path, b"text,label\nfine,1\n\xff,0\n"), ","))


def test_offset_counts_from_the_file_start(csv_path: Path) -> None:
    with pytest.raises(DataError, match="byte offset 13"):
        list(read_table(write(csv_path, b"text,label\nca\xe9,1\n"), ","))


def test_truncated_gzip_is_rejected(tmp_path: Path) -> None:
    whole = gzip.compress(b"text,label\n" + b"".join(b"review %d,1\n" % i for i in range(5_000)))
    path = write(tmp_path / "r.csv.gz", whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"r\.csv\.gz: the gzip file is damaged or truncated"):
        list(read_table(path, ","))


def test_invalid_gzip_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"r\.csv\.gz: the gzip file is damaged"):
        list(read_table(write(tmp_path / "r.csv.gz", "1,fine\n"), ","))


def test_json_lines_are_read(tmp_path: Path) -> None:
    content = '{"text": "fine", "label": 1}\n\n{"review": "dull", "sentiment": "neg", "id": 3}\n'
    assert list(read_json_lines(write(tmp_path / "r.jsonl", content))) == [
        Record(1, "fine", 1),
        Record(3, "dull", 0),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected a JSON object"),
        ('{"label": 1}', "the text is empty"),
        ('{"text": 3, "label": 1}', "the text is empty"),
        ('{"text": "fine"}', "unknown label None"),
        ('{"text": "fine", "label": true}', "unknown label True"),
    ],
)
def test_invalid_json_line_is_rejected(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "r.jsonl", f'{{"text": "fine", "label": 1}}\n{line}\n')
    with pytest.raises(DataError) as caught:
        list(read_json_lines(path))
    assert f"{path}, line 2: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "content", ["text,label\nfine,9\n", "id,review\n7,fine\n", "text\nfine\n", "1,fine\n", "fine\n"]
)
def test_unlabeled_table_ignores_labels(csv_path: Path, content: str) -> None:
    found = list(read_table(write(csv_path, content), ",", labeled=False))
    assert [record[1:] for record in found] == [("fine", NO_LABEL)]


def test_unlabeled_table_needs_a_text_column(csv_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: expected a header that names text or review, or rows"):
        list(read_table(write(csv_path, "a,b\n"), ",", labeled=False))


def test_unlabeled_json_lines_ignore_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", '{"text": "fine"}\n{"text": "dull", "label": 7}\n')
    found = list(read_json_lines(path, labeled=False))
    assert found == [Record(1, "fine", NO_LABEL), Record(2, "dull", NO_LABEL)]


def test_text_file_is_one_review(tmp_path: Path) -> None:
    path = write(tmp_path / "0_0.txt", "fine,\nreally\n")
    assert list(read_text(path)) == [Record(1, "fine,\nreally\n", NO_LABEL)]


def test_empty_text_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the text is empty, expected a review"):
        list(read_text(write(tmp_path / "0_0.txt", " \n")))
