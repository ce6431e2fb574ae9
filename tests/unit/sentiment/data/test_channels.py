"""Reviews of a channel, in all formats."""

import logging
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data import channels
from sentiment.data.channels import JobReader, Review, Source, check, read_channel, upload_files
from sentiment.data.columns import NO_LABEL
from sentiment.hyperparameters import Hyperparameters
from tests.support.review_files import make_tar, make_zip, read, read_splits, write_files
from tests.unit.sentiment.data.test_acl_imdb import FILES, write_archive, write_layout


def texts(channel: str, folder: Path) -> list[str]:
    return [review.text for review in read_channel(channel, folder)]


TRAIN = ["dull", "lovely", "nice"]  # neg/ before pos/


def test_table_review_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("text,label\nfine,1\n")
    source = Source(str(tmp_path / "r.csv"), 2)
    assert list(read_channel("training", tmp_path)) == [Review("fine", 1, source)]


def test_layout_review_has_its_movie(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    source = Source(str(tmp_path / "train/pos/0_9.txt"), 0)
    assert Review("lovely", 1, source, "tt0000007") in list(read_channel("training", tmp_path))


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
    first, second = (m for m in caplog.messages if "skipping" in m)
    assert first.endswith("test, not in train/")
    assert second.endswith("unsup, no labels")


def test_training_on_test_half_is_rejected(tmp_path: Path) -> None:
    write_layout(tmp_path, {"test/pos/0_9.txt": "lovely", "test/neg/0_1.txt": "dull"})
    with pytest.raises(DataError, match="channel training: no labeled reviews"):
        texts("training", tmp_path)


@pytest.mark.parametrize(("channel", "expected"), [("training", TRAIN), ("test", ["not for training"])])
def test_archive_equals_the_layout(tmp_path: Path, channel: str, expected: list[str]) -> None:
    write_archive(tmp_path / "aclImdb_v1.tar.gz", FILES)
    assert sorted(texts(channel, tmp_path)) == expected


def test_empty_channel_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="channel training: no labeled reviews in"):
        texts("training", tmp_path)


@pytest.mark.parametrize("name", ["reviews.xlsx", "reviews", "reviews.csv.xz"])
def test_unknown_format_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1,fine\n")
    with pytest.raises(DataError, match=rf"{name} has an unknown format; expected CSV"):
        texts("training", tmp_path)


def test_sharded_channel_may_be_empty(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        reader = JobReader({"training": folder}, Hyperparameters(), sharded={"training"})
        assert list(reader.read("training")) == []


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
    with pytest.raises(DataError, match=r"0_0\.txt, line 1: no column is called text"):
        texts("training", tmp_path)


def test_empty_unlabeled_channel_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"channel unlabeled: no reviews in .*unsup/"):
        texts("unlabeled", tmp_path)


def test_check_counts_reviews_and_labels(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    assert check(tmp_path, "training") == "training: 3 reviews, 2 of them positive"


def test_upload_files_skips_unsup_and_hidden(tmp_path: Path) -> None:
    for name in ("pos/0_9.txt", "unsup/0_0.txt", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("fine")
    assert list(upload_files(tmp_path, "training")) == [tmp_path / "pos" / "0_9.txt"]
    assert list(upload_files(tmp_path, "unlabeled")) == [tmp_path / "unsup" / "0_0.txt"]


ROWS = "text,label\n{0},1\n"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "training"),
        ("Test.csv", "test"),
        ("TEST.CSV", "test"),
        ("Valid.csv", "validation"),
        ("validation.csv", "validation"),
        ("val.csv", "validation"),
        ("dev.csv", "validation"),
        ("eval.csv", "validation"),
        ("imdb_test.csv", "test"),
        ("imdb.test.csv", "test"),
        ("imdb-dev-1.csv", "validation"),
        ("test-00000-of-00001.csv", "test"),
        ("test2.csv", "test"),
        ("imdb1test.csv", "test"),
        ("test/a.csv", "test"),
        ("data/Dev/a.csv", "validation"),
        ("test/pos2/a.csv", "test"),
        ("valid/positive/a.txt", "validation"),
        ("test/positive/a.txt", "test"),
        ("test (1).csv", "test"),
        ("IMDB Test.csv", "test"),
        ("split=test/part-0.csv", "test"),
        ("[test]~1.csv", "test"),
        ("testData.tsv", "test"),
        ("reviewsTest.csv", "test"),
        ("tests/a.csv", "test"),
        ("testing.csv", "test"),
        ("contest.csv", "training"),
        ("testimonials.csv", "training"),
        ("latest.csv", "training"),
        ("evaluation.csv", "training"),
        ("reviews.csv", "training"),
    ],
)
def test_name_decides_the_split(tmp_path: Path, name: str, split: str) -> None:
    write_files(tmp_path, {name: ROWS.format("fine")})
    splits = read_splits_or_empty(tmp_path)
    assert [name for name, reviews in splits.items() if reviews] == [split]


def read_splits_or_empty(folder: Path) -> dict[str, list[Review]]:
    reader = channels.ChannelReader("training", folder, Hyperparameters())
    return {split: list(reader.read(split, may_be_empty=True)) for split in reader.splits}


@pytest.mark.parametrize("name", ["unsupervised-00000-of-00001.csv", "data/imdb_unsup.csv"])
def test_unsupervised_file_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.INFO)
    write_files(tmp_path, {name: "text,label\nwho knows,-1\n", "train.csv": ROWS.format("fine")})
    assert texts("training", tmp_path) == ["fine"]
    assert f"skipping {tmp_path / name}, no labels" in caplog.text
    assert "who knows" in texts("unlabeled", tmp_path)


def test_label_folder_names_the_label(tmp_path: Path) -> None:
    write_files(tmp_path, {"pos/a/1.txt": "fine", "neg/a/1.txt": "dull"})
    reader = channels.ChannelReader("training", tmp_path, Hyperparameters())
    list(reader.read("training"))
    assert [report["labels"] for report in reader.reports] == [
        {"neg/": {"rows": 1, "meaning": 0}},
        {"pos/": {"rows": 1, "meaning": 1}},
    ]


@pytest.mark.parametrize("pack", ["folder", "zip", "tar"])
def test_splits_of_a_folder_are_read_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pack: str
) -> None:
    caplog.set_level(logging.INFO)
    files = {f"{name}.csv": ROWS.format(name) for name in ("Train", "Valid", "Test")}
    content = {"folder": files, "zip": {"a.zip": make_zip(files)}, "tar": {"a.tgz": make_tar(files)}}[pack]
    splits = read_splits(write_files(tmp_path, content))  # type: ignore[arg-type]
    assert {name: [review.text for review in reviews] for name, reviews in splits.items()} == {
        "training": ["Train"],
        "test": ["Test"],
        "validation": ["Valid"],
    }
    assert "Test.csv (test): CSV" in caplog.text


def test_split_ignore_trains_on_every_file(tmp_path: Path) -> None:
    write_files(tmp_path, {"train.csv": ROWS.format("a"), "test.csv": ROWS.format("b")})
    assert len(read(tmp_path, split="ignore")) == 2


@pytest.mark.parametrize("channel", ["validation", "test", "unlabeled", "val"])
def test_names_decide_nothing_in_other_channels(tmp_path: Path, channel: str) -> None:
    write_files(tmp_path, {"train.csv": ROWS.format("a"), "test.csv": ROWS.format("b")})
    assert len(read(tmp_path, channel)) == 2


@pytest.mark.parametrize("name", ["train_test.csv", "train/test.csv", "dev/test-1.csv"])
def test_name_of_two_splits_is_rejected(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {name: ROWS.format("a")})
    with pytest.raises(DataError, match=rf"the name {name} means .* and .*; rename it, or set split=ignore"):
        read(tmp_path)


def test_only_a_test_file_is_never_trained_on(tmp_path: Path) -> None:
    write_files(tmp_path, {"test.csv": ROWS.format("a")})
    with pytest.raises(DataError, match=r"(?s)no labeled reviews .*test\.csv is for test; set split=ignore"):
        read(tmp_path)


@pytest.mark.parametrize("other", ["test", "validation"])
def test_split_with_its_own_channel_is_rejected(tmp_path: Path, other: str) -> None:
    write_files(tmp_path / "training", {"train.csv": ROWS.format("a"), f"{other}.csv": ROWS.format("b")})
    write_files(tmp_path / other, {"a.csv": ROWS.format("c")})
    folders = {name: tmp_path / name for name in ("training", other)}
    with pytest.raises(DataError, match=f"both have files for {other}; remove one, or set split=ignore"):
        JobReader(folders, Hyperparameters())
    assert len(list(JobReader(folders, Hyperparameters(split="ignore")).read("training"))) == 2


def test_official_layout_may_serve_two_channels(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    reader = JobReader({"training": tmp_path, "test": tmp_path}, Hyperparameters())
    assert [review.text for review in reader.read("test")] == ["not for training"]


@pytest.mark.parametrize("alias", ["val", "valid", "dev", "eval"])
def test_alias_means_validation(tmp_path: Path, alias: str) -> None:
    write_files(tmp_path, {"a.csv": ROWS.format("a")})
    reader = JobReader({"training": tmp_path, alias: tmp_path}, Hyperparameters(), {alias})
    assert "validation" in reader
    assert reader.is_sharded("validation")
    assert len(list(reader.read("validation"))) == 1


def test_two_names_of_one_split_are_rejected(tmp_path: Path) -> None:
    folders = dict.fromkeys(("training", "validation", "dev"), tmp_path)
    with pytest.raises(DataError, match="channels dev and validation both have files for validation"):
        JobReader(folders, Hyperparameters())


def test_absent_split_is_empty(tmp_path: Path) -> None:
    reader = JobReader({"training": tmp_path}, Hyperparameters())
    assert "test" not in reader
    assert list(reader.read("test")) == []


def test_each_file_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write_files(
        tmp_path, {"a.csv": "review;stars\nfine;5\nmeh;3\n;\n", "b.jsonl": '{"text": "x", "label": 5}'}
    )
    read(tmp_path, label_map='{"5": 1, "3": null}')
    assert (
        "channel training: a.csv (training): CSV, semicolon-doubled; text: review; label: stars; labels: "
        "'5' = 1 (1), '3' = left out (1); 2 rows; skipped 1 rows, left out by label_map; "
        "skipped 1 rows, empty row"
    ) in caplog.messages
    assert (
        "b.jsonl (training): JSON Lines; text: text; label: label; labels: '5' = 1 (1); 1 rows" in caplog.text
    )


def test_empty_file_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read(write_files(tmp_path, {"a.csv": "1,fine\n", "b.csv": ""}))
    assert "b.csv, empty file" in caplog.text


def test_many_files_are_logged_by_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(channels, "_MAX_REPORTED_FILES", 5)
    write_files(tmp_path, {f"{name}/{i}.txt": "fine" for name in ("pos", "neg") for i in range(5)})
    read(tmp_path)
    assert [message.split(";")[0] for message in caplog.messages if "rows" in message] == [
        "channel training: neg (training): a review per file",
        "channel training: pos (training): a review per file",
    ]


@pytest.mark.parametrize(
    "text", ["très déçu par ce film raté", "这部电影非常好", "فيلم رائع جدا", "отличный фильм"]
)
def test_other_languages_are_rejected(tmp_path: Path, text: str) -> None:
    write_files(tmp_path, {"a.csv": f"text,label\n{text},1\n"})
    with pytest.raises(DataError, match=r"would drop .* of the letters, .*; set tokenizer=unicode, or raise"):
        read(tmp_path)
    assert read(tmp_path, tokenizer="unicode") == read(tmp_path, max_dropped_letters=1.0) == [(text, 1)]


def test_check_reports_each_split(tmp_path: Path) -> None:
    write_files(tmp_path, {"train.csv": "1,a\n0,b\n", "test.csv": "1,c\n"})
    splits = check(tmp_path, "training").split("; ")
    assert splits == ["training: 2 reviews, 1 of them positive", "test: 1 reviews, 1 of them positive"]


def test_check_takes_a_file_and_hyperparameters(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "body,stars\nfine,5\n", "b.csv": "no"})
    hyperparameters = Hyperparameters(text_column="body", label_map='{"5": 1}')
    assert check(tmp_path / "a.csv", "training", hyperparameters) == "training: 1 reviews, 1 of them positive"
