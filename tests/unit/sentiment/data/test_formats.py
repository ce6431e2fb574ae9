"""CSV, JSON, parquet and lines of text."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from byoc.errors import DataError
from sentiment.data import formats
from sentiment.data.channels import ChannelReader, read_channel
from sentiment.data.columns import NO_LABEL
from sentiment.hyperparameters import Hyperparameters
from tests.support.review_files import make_zip, read, write_files

EXPECTED = [("fine", 1), ("dull", 0)]


def lines(folder: Path) -> list[int]:
    return [review.source.line for review in read_channel("training", folder)]


def make_parquet(
    texts: list[str | None], labels: list[object], names: tuple[str, str] = ("text", "label")
) -> bytes:
    kind = {int: DataType.int64(), float: DataType.float64(), str: DataType.utf8(), bool: DataType.bool()}
    columns: dict[str, Any] = {
        names[0]: Array(texts, DataType.utf8()),
        names[1]: Array(labels, kind[type(labels[0])]),
    }
    stream = io.BytesIO()
    write_parquet(Table.from_pydict(columns), stream)
    return stream.getvalue()


def test_record_has_its_first_line(tmp_path: Path) -> None:
    content = 'text,label\n"a, ""b""\nc",1\nd,0\n'
    write_files(tmp_path, {"r.csv": content})
    assert read(tmp_path) == [('a, "b"\nc', 1), ("d", 0)]
    assert lines(tmp_path) == [2, 4]


def test_long_text_is_read(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.csv": f"1,{'a ' * 200_000}\n"})
    assert len(read(tmp_path)[0][0]) == 400_000


@pytest.mark.parametrize("content", ["text,label\n", "\n\n"])
def test_file_without_rows_has_no_reviews(tmp_path: Path, content: str) -> None:
    assert read(write_files(tmp_path, {"a.csv": content, "b.csv": "1,fine\n"})) == [("fine", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\n ,1\n", "line 2: the text is empty"),
        ("1,\n", "line 1: the text is empty"),
        ("fine\n", "line 1: no column is called text"),
        ("\n1, \n", "line 2: the text is empty"),
    ],
)
def test_invalid_row_is_rejected_with_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"r\.csv, {message}"):
        read(write_files(tmp_path, {"r.csv": content}))


@pytest.mark.parametrize(
    ("content", "offset"), [(b"text,label\nfine,1\n\xff,0\n", 18), (b"text,label\nca\xe9,1\n", 13)]
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_invalid_utf8_is_rejected_with_offset(
    tmp_path: Path, content: bytes, offset: int, mark: bytes
) -> None:
    write_files(tmp_path, {"r.csv": mark + content})
    with pytest.raises(DataError, match=rf"r\.csv: not UTF-8 at byte offset {offset + len(mark)};"):
        read(tmp_path)


def test_utf8_offset_is_exact_in_large_files(tmp_path: Path) -> None:
    head = b"text,label\n" + b"caf\xc3\xa9,1\n" * 50_000
    write_files(tmp_path, {"r.csv": head + b"caf\xe9,1\n" + b"fine,1\n" * 50_000})
    with pytest.raises(DataError, match=f"offset {len(head) + 3};"):
        read(tmp_path)


JSON_LINES = '{"text": "fine", "label": 1}\n\n{"review": "dull", "sentiment": "neg", "id": 3}\n'
JSON_ARRAY = '[ {"text": "fine", "label": true},\n {"text":\n"dull", "label": 0.0} ]\n'


@pytest.mark.parametrize("suffix", ["jsonl", "json", "ndjson", "JSON"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("content", [JSON_LINES, JSON_ARRAY])
def test_json_is_read(tmp_path: Path, suffix: str, mark: str, content: str) -> None:
    assert read(write_files(tmp_path, {f"r.{suffix}": mark + content})) == EXPECTED


def test_json_records_have_their_lines(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jsonl": JSON_LINES, "b.json": JSON_ARRAY})
    assert lines(tmp_path) == [1, 3, 1, 2]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_json_array_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(formats, "_CHUNK", chunk)
    assert read(write_files(tmp_path, {"r.json": JSON_ARRAY})) == EXPECTED


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected a JSON object"),
        ('{"label": 1}', "no column is called text"),
        ('{"text": 3, "label": 1}', "the text is empty"),
        ('{"text": "fine"}', "no column is called label"),
        ('{"text": "fine", "review": "x", "label": 1}', "several columns may hold the text"),
        ('{"text": "fine", "label": null}', "unknown label ''"),
        ('{"text": "fine", "label": [1]}', r"unknown label '\[1\]'"),
    ],
)
def test_invalid_json_line_is_rejected(tmp_path: Path, line: str, message: str) -> None:
    write_files(tmp_path, {"r.jsonl": f'{{"text": "fine", "label": 1}}\n{line}\n'})
    with pytest.raises(DataError, match=rf"r\.jsonl, line 2: {message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a", "label": 1},\n{"text": "b",\n"label": }]', "line 3: not JSON"),
        ('[{"text": "a", "label": 1},\n', "line 2: not JSON"),
        ('[{"text": "a", "label": 1},\n"b"]', "line 2: expected a JSON object"),
        ("[" * 100_000, "line 1: not JSON"),
        ('{"text": {"0": "a"}, "label": {"0": 1}}', "line 1: unknown label"),
    ],
)
def test_invalid_json_array_is_rejected(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write_files(tmp_path, {"r.json": content}))


def manifest(text: str, job: int, name: str) -> str:
    metadata = {"class-name": name, "type": "groundtruth/text-classification", "confidence": 0.9}
    return json.dumps({"source": text, "movies": job, "movies-metadata": metadata}) + "\n"


@pytest.mark.parametrize("name", ["output.manifest", "r.jsonl"])
def test_augmented_manifest_is_read(tmp_path: Path, name: str) -> None:
    content = manifest("fine", 0, "positive") + manifest("dull", 1, "negative")
    assert read(write_files(tmp_path, {name: content})) == EXPECTED


def test_manifest_with_several_jobs_needs_a_column(tmp_path: Path) -> None:
    line = json.loads(manifest("fine", 0, "positive"))
    line |= {"other": 1, "other-metadata": {"class-name": "negative"}}
    write_files(tmp_path, {"r.manifest": json.dumps(line)})
    with pytest.raises(DataError, match="the columns are text, movies, other; set label_column"):
        read(tmp_path)
    assert read(tmp_path, label_column="other") == [("fine", 0)]


@pytest.mark.parametrize("name", ["r.txt", "r.ft.txt", "reviews.train", "r.csv"])
def test_fasttext_lines_are_read(tmp_path: Path, name: str) -> None:
    content = "__label__pos fine\n\n__label__neg , dull\n"
    assert read(write_files(tmp_path, {name: content})) == EXPECTED


@pytest.mark.parametrize("line", ["dull", "__label__1", "__label__1 __label__0 dull"])
def test_invalid_fasttext_line_is_rejected(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="line 2: expected one __label__LABEL"):
        read(write_files(tmp_path, {"r.txt": f"__label__1 fine\n{line}\n"}))


@pytest.mark.parametrize(
    "content",
    ["fine\t1\ndull\t0\n", "text\tlabel\nfine\t1\ndull\t0\n", "1\tfine\n0\tdull\n", "fine\t1\r\ndull\t0"],
)
def test_text_tab_label_lines_are_read(tmp_path: Path, content: str) -> None:
    assert read(write_files(tmp_path, {"r.txt": content})) == EXPECTED


def test_text_tab_label_lines_have_no_quoting(tmp_path: Path) -> None:
    content = "fine\t1\n" * 150 + '"Wow" film\t1\n"never closed\t0\n'
    assert read(write_files(tmp_path, {"r.txt": content}))[150:] == [('"Wow" film', 1), ('"never closed', 0)]


@pytest.mark.parametrize("folders", [("pos", "neg"), ("positive", "negative"), ("Positive", "Negative")])
def test_label_folders_are_read(tmp_path: Path, folders: tuple[str, str]) -> None:
    write_files(tmp_path, {f"{folders[0]}/a.txt": "fine", f"{folders[1]}/b.txt": "dull"})
    assert sorted(read(tmp_path)) == sorted(EXPECTED)


@pytest.mark.parametrize("labels", [[1, 0], [1.0, 0.0], ["pos", "neg"], [True, False]])
def test_parquet_is_read(tmp_path: Path, labels: list[object]) -> None:
    assert read(write_files(tmp_path, {"r.parquet": make_parquet(["fine", "dull"], labels)})) == EXPECTED


def test_parquet_may_be_in_an_archive(tmp_path: Path) -> None:
    content = make_zip({"data/r.parquet": make_parquet(["fine", "dull"], [1, 0])})
    assert read(write_files(tmp_path, {"r.zip": content})) == EXPECTED


def test_parquet_columns_are_checked(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.parquet": make_parquet(["fine"], [1], ("body", "label"))})
    with pytest.raises(
        DataError, match=r"r\.parquet: no column is called text, .* the columns are body, label"
    ):
        read(tmp_path)
    assert read(tmp_path, text_column="body") == [("fine", 1)]


def test_missing_parquet_text_is_rejected(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.parquet": make_parquet(["fine", None], [1, 0])})
    with pytest.raises(DataError, match="line 2: the text is empty"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"text,label\n", b"PAR1", make_parquet(["a" * 999], [1])[:-9]])
def test_damaged_parquet_is_rejected(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"r\.parquet: no parquet file, or a damaged one"):
        read(write_files(tmp_path, {"r.parquet": content}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", "text,label\nfine,9\n"),
        ("r.csv", "id,review\n7,fine\n"),
        ("r.csv", "text\nfine\n"),
        ("r.csv", "1,fine\n"),
        ("r.csv", "fine\n"),
        ("r.jsonl", '{"text": "fine"}'),
        ("r.jsonl", '{"text": "fine", "label": 7}'),
        ("r.txt", "fine"),
        ("r.txt", "__label__1 fine\n"),
        ("r.parquet", make_parquet(["fine"], [7])),
    ],
)
def test_unlabeled_channel_ignores_labels(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert read(write_files(tmp_path, {name: content}), "unlabeled") == [("fine", NO_LABEL)]


def test_column_of_splits_is_rejected_in_parquet(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "split": Array(["test"], DataType.utf8()),
        "text": Array(["fine"], DataType.utf8()),
        "label": Array([1], DataType.int64()),
    }
    stream = io.BytesIO()
    write_parquet(Table.from_pydict(columns), stream)
    with pytest.raises(DataError, match=r"column split holds splits \(test\)"):
        read(write_files(tmp_path, {"r.parquet": stream.getvalue()}))


@pytest.mark.parametrize("rest", ['[{"text": "dull", "label": 0}]', "x", ",", " " * 70_000 + "]"])
def test_content_after_a_json_array_is_rejected(tmp_path: Path, rest: str) -> None:
    write_files(tmp_path, {"r.json": f'[{{"text": "fine",\n"label": 1}}]\n{rest}\n'})
    with pytest.raises(DataError, match=r"r\.json, line 3: expected the end of the file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["r.json", "r.txt"])
def test_format_is_detected_in_utf_16(tmp_path: Path, name: str) -> None:
    content = {"r.json": json.dumps([{"text": "fine", "label": 1}]), "r.txt": "__label__1 fine\n"}[name]
    assert read(write_files(tmp_path, {name: content.encode("utf-16")})) == [("fine", 1)]


@pytest.mark.parametrize("name", ["pos/1.txt", "r.csv"])
def test_utf_16_without_a_mark_is_rejected(tmp_path: Path, name: str) -> None:
    channel = "training" if "/" in name else "unlabeled"
    with pytest.raises(DataError, match="not UTF-8, for it has NUL characters; save the file as UTF-8"):
        read(write_files(tmp_path, {name: "fine\n".encode("utf-16-le")}), channel)


def test_unlabeled_table_needs_a_text_column(tmp_path: Path) -> None:
    for content in ("a,b,c\n", "good, really\nbad, really\n"):
        with pytest.raises(DataError, match="line 1: no column is called text, review"):
            read(write_files(tmp_path, {"r.csv": content}), "unlabeled")


def test_unlabeled_column_may_hold_delimiters(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.csv": "good\nbad, really\n"})
    assert [text for text, _ in read(tmp_path, "unlabeled")] == ["good", "bad, really"]


def test_unlabeled_text_file_is_one_review(tmp_path: Path) -> None:
    write_files(tmp_path, {"0_0.txt": "fine,\nreally\n"})
    assert read(tmp_path, "unlabeled") == [("fine,\nreally\n", NO_LABEL)]


def test_empty_text_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the text is empty, expected a review"):
        read(write_files(tmp_path, {"0_0.txt": " \n"}), "unlabeled")


def test_report_describes_the_file(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.csv": "id;review;stars\n1;fine;5\n2;meh;3\n;;\n3;dull;1\n"})
    reader = ChannelReader("training", tmp_path, Hyperparameters(label_map='{"5": 1, "3": null, "1": 0}'))
    list(reader.read("training"))
    assert reader.reports == [
        {
            "file": "r.csv",
            "split": "training",
            "format": "CSV, semicolon-doubled",
            "text": "review",
            "label": "stars",
            "rows": 3,
            "labels": {
                "5": {"rows": 1, "meaning": 1},
                "3": {"rows": 1, "meaning": None},
                "1": {"rows": 1, "meaning": 0},
            },
            "skipped": {"left out by label_map": 1, "empty row": 1},
        }
    ]
