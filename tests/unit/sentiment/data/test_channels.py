"""Reviews of a channel, in all formats."""

import logging
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data.channels import Review, Source, check, read_channel, upload_files
from sentiment.data.formats import NO_LABEL
from tests.unit.sentiment.data.test_acl_imdb import FILES, write_archive, write_layout


def texts(channel: str, folder: Path) -> list[str]:
    return [review.text for review in read_channel(channel, folder)]


TRAIN = ["lovely", "nice", "dull"]


def test_table_review_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("text,label\nfine,1\n")
    source = Source(str(tmp_path / "r.csv"), 2)
    assert list(read_channel("training", tmp_path)) == [Review("fine", 1, source)]


def test_layout_review_has_its_movie(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    source = Source(str(tmp_path / "train/pos/0_9.txt"), 0)
    assert next(read_channel("training", tmp_path)) == Review("lovely", 1, source, "tt0000007")


def test_files_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("1,b\n")
    (tmp_path / "a.tsv").write_text("1\ta\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.jsonl").write_text('{"text": "c", "label": 0}\n')
    assert texts("training", tmp_path) == ["a", "b", "c"]


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("1,fine\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".DS_Store").write_bytes(b"\xff")
    assert texts("training", tmp_path) == ["fine"]


@pytest.mark.parametrize("channel", ["training", "train", "validation"])
@pytest.mark.parametrize("root", ["", "aclImdb"])
def test_channels_except_test_read_train(tmp_path: Path, channel: str, root: str) -> None:
    write_layout(tmp_path / root, FILES)
    assert texts(channel, tmp_path) == TRAIN


def test_channel_test_reads_test(tmp_path: Path) -> None:
    assert texts("test", write_layout(tmp_path, FILES)) == ["not for training"]


@pytest.mark.parametrize("channel", ["training", "test"])
def test_labeled_folders_may_be_the_root(tmp_path: Path, channel: str) -> None:
    write_layout(tmp_path, FILES)
    assert texts(channel, tmp_path / "train") == TRAIN


def test_skipped_folders_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    texts("training", write_layout(tmp_path, FILES))
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith("test, not in train/")
    assert second.endswith("unsup, no labels")


def test_training_on_test_half_is_rejected(tmp_path: Path) -> None:
    write_layout(tmp_path, {"test/pos/0_9.txt": "lovely", "test/neg/0_1.txt": "dull"})
    with pytest.raises(DataError, match="channel training: no labeled reviews"):
        texts("training", tmp_path)


@pytest.mark.parametrize(("channel", "expected"), [("training", TRAIN), ("test", ["not for training"])])
def test_archive_equals_the_layout(tmp_path: Path, channel: str, expected: list[str]) -> None:
    write_archive(tmp_path / "aclImdb_v1.tar.gz", FILES)
    assert texts(channel, tmp_path) == expected


def test_empty_channel_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="channel training: no labeled reviews in"):
        texts("training", tmp_path)


@pytest.mark.parametrize("name", ["reviews.parquet", "reviews", "reviews.csv.zip"])
def test_unknown_format_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1,fine\n")
    with pytest.raises(DataError, match=rf"{name} has an unknown format; expected .*\.csv"):
        texts("training", tmp_path)


def test_augmented_manifest_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "labels.manifest").write_text('{"source": "fine", "label": 1}\n')
    with pytest.raises(DataError, match="augmented manifest"):
        texts("training", tmp_path)


def test_sharded_channel_may_be_empty(tmp_path: Path) -> None:
    assert list(read_channel("training", tmp_path, may_be_empty=True)) == []
    assert list(read_channel("training", tmp_path / "missing", may_be_empty=True)) == []


@pytest.mark.parametrize("root", ["", "aclImdb", "train"])
def test_unlabeled_channel_reads_unsup_only(
    tmp_path: Path, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_layout(tmp_path / root.removesuffix("train"), FILES)
    reviews = read_channel("unlabeled", tmp_path / ("train" if root == "train" else ""))
    assert [(review.text, review.label) for review in reviews] == [("who knows", NO_LABEL)]
    assert "pos, not unsup/" in caplog.text


def test_unlabeled_channel_reads_archive(tmp_path: Path) -> None:
    write_archive(tmp_path / "aclImdb_v1.tar.gz", FILES)
    assert texts("unlabeled", tmp_path) == ["who knows"]


def test_unlabeled_channel_reads_all_formats(tmp_path: Path) -> None:
    (tmp_path / "0_0.txt").write_text("a")
    (tmp_path / "1.csv").write_text("text\nb\n")
    (tmp_path / "2.tsv").write_text("1\tc\n")
    (tmp_path / "3.jsonl").write_text('{"review": "d"}\n')
    assert texts("unlabeled", tmp_path) == ["a", "b", "c", "d"]


def test_labeled_text_files_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "0_0.txt").write_text("a")
    with pytest.raises(DataError, match=r"0_0\.txt has an unknown format"):
        texts("training", tmp_path)


def test_empty_unlabeled_channel_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"channel unlabeled: no reviews in .*unsup/"):
        texts("unlabeled", tmp_path)


def test_check_counts_reviews_and_labels(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    assert check(tmp_path, "training") == "3 reviews, 2 of them positive"


def test_upload_files_skips_unsup_and_hidden(tmp_path: Path) -> None:
    for name in ("pos/0_9.txt", "unsup/0_0.txt", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("fine")
    assert list(upload_files(tmp_path, "training")) == [tmp_path / "pos" / "0_9.txt"]
    assert list(upload_files(tmp_path, "unlabeled")) == [tmp_path / "unsup" / "0_0.txt"]
