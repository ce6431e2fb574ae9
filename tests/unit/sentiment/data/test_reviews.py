"""Reading a channel, whatever its format."""

import logging
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data.formats import NO_LABEL
from sentiment.data.reviews import Review, check, read_channel, upload_files
from sentiment.data.sources import Source
from tests.unit.sentiment.data.test_acl_imdb import FILES, write_archive, write_layout


def texts(channel: str, folder: Path) -> list[str]:
    return [review.text for review in read_channel(channel, folder)]


TRAIN = ["lovely", "nice", "dull"]


def test_review_of_a_table_knows_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("text,label\nfine,1\n")
    source = Source(str(tmp_path / "r.csv"), 2)
    assert list(read_channel("training", tmp_path)) == [Review("fine", 1, source)]


def test_review_of_the_layout_knows_its_movie(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    source = Source(str(tmp_path / "train/pos/0_9.txt"), 0)
    assert next(read_channel("training", tmp_path)) == Review("lovely", 1, source, "tt0000007")


def test_all_files_of_all_formats_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("1,b\n")
    (tmp_path / "a.tsv").write_text("1\ta\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.jsonl").write_text('{"text": "c", "label": 0}\n')
    assert texts("training", tmp_path) == ["a", "b", "c"]


def test_files_that_platforms_add_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("1,fine\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".DS_Store").write_bytes(b"\xff")
    assert texts("training", tmp_path) == ["fine"]


@pytest.mark.parametrize("channel", ["training", "train", "validation"])
@pytest.mark.parametrize("root", ["", "aclImdb"])
def test_other_channels_than_test_read_only_train(tmp_path: Path, channel: str, root: str) -> None:
    write_layout(tmp_path / root, FILES)
    assert texts(channel, tmp_path) == TRAIN


def test_test_channel_reads_only_test(tmp_path: Path) -> None:
    assert texts("test", write_layout(tmp_path, FILES)) == ["not for training"]


@pytest.mark.parametrize("channel", ["training", "test"])
def test_labelled_folders_at_the_root_are_read(tmp_path: Path, channel: str) -> None:
    write_layout(tmp_path, FILES)
    assert texts(channel, tmp_path / "train") == TRAIN


def test_what_is_left_out_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    texts("training", write_layout(tmp_path, FILES))
    left_out = [record.getMessage() for record in caplog.records]
    assert len(left_out) == 2
    assert "test is left out" in left_out[0]
    assert "unsup is left out" in left_out[1]


def test_training_on_the_test_half_alone_is_refused(tmp_path: Path) -> None:
    write_layout(tmp_path, {"test/pos/0_9.txt": "lovely", "test/neg/0_1.txt": "dull"})
    with pytest.raises(DataError, match="channel training: no labelled reviews"):
        texts("training", tmp_path)


@pytest.mark.parametrize(("channel", "expected"), [("training", TRAIN), ("test", ["not for training"])])
def test_archive_is_read_like_the_layout(tmp_path: Path, channel: str, expected: list[str]) -> None:
    write_archive(tmp_path / "aclImdb_v1.tar.gz", FILES)
    assert texts(channel, tmp_path) == expected


def test_empty_channel_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="channel training: no labelled reviews in"):
        texts("training", tmp_path)


@pytest.mark.parametrize("name", ["reviews.parquet", "reviews", "reviews.csv.zip"])
def test_unknown_format_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1,fine\n")
    with pytest.raises(DataError, match=rf"{name} has an unknown format; expected .*\.csv"):
        texts("training", tmp_path)


def test_manifest_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "labels.manifest").write_text('{"source": "fine", "label": 1}\n')
    with pytest.raises(DataError, match="augmented manifest"):
        texts("training", tmp_path)


def test_channel_may_be_empty_where_its_files_went_to_other_hosts(tmp_path: Path) -> None:
    assert list(read_channel("training", tmp_path, may_be_empty=True)) == []
    assert list(read_channel("training", tmp_path / "missing", may_be_empty=True)) == []


@pytest.mark.parametrize("root", ["", "aclImdb", "train"])
def test_unlabeled_channel_reads_only_what_has_no_labels(
    tmp_path: Path, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    if root == "train":
        write_layout(tmp_path, FILES)
        found = list(read_channel("unlabeled", tmp_path / "train"))
    else:
        write_layout(tmp_path / root, FILES)
        found = list(read_channel("unlabeled", tmp_path))
    assert [(review.text, review.label) for review in found] == [("who knows", NO_LABEL)]
    assert "pos is left out, it is not unsup/" in caplog.text


def test_unlabeled_channel_reads_the_archive(tmp_path: Path) -> None:
    write_archive(tmp_path / "aclImdb_v1.tar.gz", FILES)
    assert texts("unlabeled", tmp_path) == ["who knows"]


def test_unlabeled_channel_reads_text_files_and_all_other_formats(tmp_path: Path) -> None:
    (tmp_path / "0_0.txt").write_text("a")
    (tmp_path / "1.csv").write_text("text\nb\n")
    (tmp_path / "2.tsv").write_text("1\tc\n")
    (tmp_path / "3.jsonl").write_text('{"review": "d"}\n')
    assert texts("unlabeled", tmp_path) == ["a", "b", "c", "d"]


def test_text_files_are_no_labelled_reviews(tmp_path: Path) -> None:
    (tmp_path / "0_0.txt").write_text("a")
    with pytest.raises(DataError, match=r"0_0\.txt has an unknown format"):
        texts("training", tmp_path)


def test_empty_unlabeled_channel_is_refused(tmp_path: Path) -> None:
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
