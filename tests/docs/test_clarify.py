"""docs/clarify.md agrees with the code."""

import pytest

import sentiment
from byoc.serving.request import Limits, decode
from sentiment.text.tokenizer import tokenize
from tests.support.clarify import BASELINE, FORMATS, PAGE, Format


def test_page_has_csv_and_json_lines() -> None:
    assert [row.content_type for row in FORMATS] == ["text/csv", "application/jsonlines", "application/json"]


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.content_type)
def test_example_bodies_follow_the_templates(row: Format) -> None:
    body = row.body(["Good.", "Bad."])
    assert body == row.example.replace(r"\n", "\n")
    assert decode(body.encode(), row.content_type) == ["Good.", "Bad."]


def test_probability_column_is_that_of_csv() -> None:
    column = sentiment.csv_fields.index("probability")
    assert f"ModelPredictedLabelConfig(probability={column}, " in PAGE
    assert f'"ProbabilityIndex": {column}' in PAGE
    assert FORMATS[0].probability == str(column)


def test_limits_on_a_request_are_those_of_code() -> None:
    assert f"{Limits().texts:,} records and 25 MiB" in PAGE


@pytest.mark.parametrize(("mask", "words"), [(BASELINE, ["movie"]), ("[MASK]", ["mask"]), ("<UNK>", [])])
def test_masks_become_these_words(mask: str, words: list[str]) -> None:
    assert mask in PAGE
    assert tokenize(mask, frozenset()) == words
