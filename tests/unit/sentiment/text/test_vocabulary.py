"""Ids of words."""

import json
from pathlib import Path

import pytest

from byoc.errors import ArtifactError
from sentiment.text.vocabulary import Vocabulary


def test_words_follow_the_special_ids() -> None:
    assert Vocabulary(["good", "bad"]).ids(["bad", "good"]) == [3, 2]


def test_unknown_word_has_id_one() -> None:
    assert Vocabulary(["good"]).ids(["ugly"]) == [1]


def test_length_counts_all_ids() -> None:
    assert len(Vocabulary(["good", "bad"])) == 4


def test_from_counts_sorts_by_frequency() -> None:
    vocabulary = Vocabulary.from_counts({"c": 5, "b": 1, "a": 1, "d": 9}, 100)
    assert vocabulary.words == ("d", "c", "a", "b")


def test_vocab_size_counts_all_ids() -> None:
    vocabulary = Vocabulary.from_counts({"a": 3, "b": 2, "c": 1}, vocab_size=4)
    assert len(vocabulary) == 4
    assert vocabulary.words == ("a", "b")


def test_from_counts_drops_absent_words() -> None:
    assert Vocabulary.from_counts({"a": 3, "b": 0}, 100).words == ("a",)


def test_saved_vocabulary_loads_unchanged(tmp_path: Path) -> None:
    Vocabulary(["good", "bad"]).save(tmp_path / "v.json")
    assert Vocabulary.load(tmp_path / "v.json").words == ("good", "bad")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "expected a list of words"),
        ('"ab"', "expected a list of words"),
        ('["a", 1]', "expected a list of words"),
        ('["a", "b", "a"]', "duplicate word"),
    ],
)
def test_invalid_file_is_rejected_by_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=message) as error:
        Vocabulary.load(path)
    assert str(path) in str(error.value)


def test_saved_vocabulary_is_plain_json(tmp_path: Path) -> None:
    Vocabulary(["good"]).save(tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text()) == ["good"]
