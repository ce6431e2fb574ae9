"""Parts of the reviews that share no movie."""

import argparse
from pathlib import Path

import pytest

from benchmarks.folds import FOLDS, existing, fold_of, give_unlabeled, lay_out, split
from sentiment.data.reviews import read_channel
from tests.unit.sentiment.data.test_acl_imdb import write_layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 movies with a good and a bad review each, and a text about two of them."""
    files = {
        f"train/{name}/{i}_{9 - 8 * (name == 'neg')}.txt": f"{name} {i}"
        for name in ("pos", "neg")
        for i in range(60)
    }
    files |= {
        f"train/urls_{name}.txt": "".join(f"http://x/title/tt{i:07}/\n" for i in range(60))
        for name in ("pos", "neg")
    }
    files |= {f"train/pos/{i}_9.txt": "the same" for i in range(20)}
    files["train/unsup/0_0.txt"] = "without a label"
    return write_layout(tmp_path / "aclImdb", files)


def test_no_movie_and_no_text_is_on_both_sides(folder: Path) -> None:
    training, validation = split(folder, 0)
    assert training
    assert validation
    assert not {review.movie for review in training} & {review.movie for review in validation}
    assert not {review.text for review in training} & {review.text for review in validation}


def test_every_movie_is_held_out_once(folder: Path) -> None:
    reviews = list(read_channel("training", folder))
    assert sum(len({r.movie for r in reviews if fold_of(r) == fold}) for fold in range(FOLDS)) == 60


def test_job_reads_the_two_sides_with_their_movies(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    sides = lay_out(folder, 1, base)
    for name, expected in zip(("training", "validation"), sides, strict=True):
        found = list(read_channel(name, base / "input" / "data" / name))
        assert [(r.text, r.label, r.movie) for r in found] == [(r.text, r.label, r.movie) for r in expected]
    assert not (base / "input" / "data" / "unlabeled").exists()


def test_reviews_without_labels_are_there_for_whom_they_are_wanted(folder: Path, tmp_path: Path) -> None:
    lay_out(folder, 1, tmp_path)
    channel = tmp_path / "input" / "data" / "unlabeled"
    give_unlabeled(folder, tmp_path, True)
    assert [review.text for review in read_channel("unlabeled", channel)] == ["without a label"]
    give_unlabeled(folder, tmp_path, False)
    assert not channel.exists()


def test_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    assert existing(str(tmp_path)) == tmp_path.resolve()
    with pytest.raises(argparse.ArgumentTypeError, match="there is no such folder"):
        existing(str(tmp_path / "aclImdb"))
