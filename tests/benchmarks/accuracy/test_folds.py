"""Folds that share no movie."""

from pathlib import Path

import pytest

from benchmarks.accuracy.folds import FOLDS, fold_of, link_unlabeled, split, write_channels
from sentiment.data.channels import read_channel
from tests.unit.sentiment.data.test_acl_imdb import write_layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 movies with a positive and a negative review each; 20 positive reviews have the same text."""
    names = ("pos", "neg")
    ratings = {"pos": 9, "neg": 1}
    files = {f"train/{name}/{i}_{ratings[name]}.txt": f"{name} {i}" for name in names for i in range(60)}
    urls = "".join(f"http://x/title/tt{i:07}/\n" for i in range(60))
    files |= {f"train/urls_{name}.txt": urls for name in names}
    files |= {f"train/pos/{i}_9.txt": "the same" for i in range(20)}
    files["train/unsup/0_0.txt"] = "no label"
    return write_layout(tmp_path / "aclImdb", files)


def test_sides_share_no_movie_or_text(folder: Path) -> None:
    training, validation = split(folder, 0)
    assert training
    assert validation
    assert not {review.group for review in training} & {review.group for review in validation}
    assert not {review.text for review in training} & {review.text for review in validation}


def test_every_movie_is_held_out_once(folder: Path) -> None:
    reviews = list(read_channel("training", folder))
    assert sum(len({r.group for r in reviews if fold_of(r) == fold}) for fold in range(FOLDS)) == 60


def test_written_channels_keep_movies(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    sides = write_channels(folder, 1, base)
    for name, expected in zip(("training", "validation"), sides, strict=True):
        reviews = list(read_channel(name, base / "input" / "data" / name))
        assert [(r.text, r.label, r.group) for r in reviews] == [(r.text, r.label, r.group) for r in expected]


def test_unlabeled_channel_is_optional(folder: Path, tmp_path: Path) -> None:
    write_channels(folder, 1, tmp_path)
    channel = tmp_path / "input" / "data" / "unlabeled"
    assert not channel.exists()
    link_unlabeled(folder, tmp_path, True)
    assert [review.text for review in read_channel("unlabeled", channel)] == ["no label"]
    link_unlabeled(folder, tmp_path, False)
    assert not channel.exists()
