"""The lookup table."""

import json
from pathlib import Path

import numpy as np
import pytest

from byoc.errors import ArtifactError
from sentiment.text.vocabulary import Vocabulary


def test_ids_start_behind_the_two_that_are_no_words() -> None:
    assert Vocabulary(["good", "bad"]).ids(["bad", "good"]) == [3, 2]


def test_unknown_word_is_infrequent() -> None:
    assert Vocabulary(["good"]).ids(["ugly"]) == [1]


def test_length_counts_all_ids() -> None:
    assert len(Vocabulary(["good", "bad"])) == 4


def test_most_frequent_words_come_first_and_ties_by_alphabet() -> None:
    vocabulary = Vocabulary.most_frequent(["c", "b", "a", "d"], np.array([5, 1, 1, 9]), 100)
    assert vocabulary.words == ("d", "c", "a", "b")


def test_vocab_size_counts_all_ids() -> None:
    vocabulary = Vocabulary.most_frequent(["a", "b", "c"], np.array([3, 2, 1]), vocab_size=4)
    assert len(vocabulary) == 4
    assert vocabulary.words == ("a", "b")


def test_word_that_never_occurs_is_left_out() -> None:
    assert Vocabulary.most_frequent(["a", "b"], np.array([3, 0]), 100).words == ("a",)


def test_saved_table_is_read_back(tmp_path: Path) -> None:
    Vocabulary(["good", "bad"], ["good bad"]).save(tmp_path / "v.json")
    loaded = Vocabulary.load(tmp_path / "v.json")
    assert loaded.words == ("good", "bad")
    assert loaded.phrases == ("good bad",)


def test_phrases_have_the_ids_behind_the_words() -> None:
    vocabulary = Vocabulary(["good", "bad"], ["good bad"])
    assert vocabulary.first_phrase == 4
    assert len(vocabulary) == 5
    assert vocabulary.ids(["good", "bad"]) == [2, 3]


def test_id_tells_the_word() -> None:
    assert Vocabulary(["good", "bad"]).word(3) == "bad"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected"),
        ('{"words": ["a"], "phrases": "a"}', "with strings"),
        ('{"words": [1], "phrases": []}', "with strings"),
        ('{"words": ["a", "a"], "phrases": []}', "occurs twice"),
        ('{"words": ["a", "b"], "phrases": ["a b", "a b"]}', "occurs twice"),
        ('{"words": ["a"], "phrases": ["a b"]}', "of the words"),
        ('{"words": ["a", "b"], "phrases": ["a b a b"]}', "two or 3"),
    ],
)
def test_damaged_table_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        Vocabulary.load(path)
    assert str(path) in str(caught.value)


def test_table_is_plain_json(tmp_path: Path) -> None:
    Vocabulary(["good"]).save(tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text()) == {"words": ["good"], "phrases": []}
