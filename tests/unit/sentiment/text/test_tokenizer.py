"""The shipped text processing against its plain definition."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer

from byoc.serving.limits import MAX_CHARACTERS
from sentiment.settings import STOP_WORDS
from sentiment.text.tokenizer import stop_words, words
from tests.support.reference_text import reference_words

MARKUP = [
    "<br />", "<br>", "<br/>", "</br>", "<BR />", "<hr>", "</hr>", "<i>", "</i>", "</I>", "<b>", "</b>",
    "<p>", "</p>", "<em>", "</em>", "<u>", "</u>", "<strong>", "</strong>", "<\u0131>", "<\u0130>",
    "<a href='x'>", "</a>", "<br clear=all>", "<script>", "</script>", "<style>", "</style>", "<title>",
    "</title>", "<textarea>", "</textarea>", "<!--", "-->", "<!DOCTYPE html>", "<![CDATA[", "]]>",
    "<![%", "<?php", "?>", "<", ">", "</", "<a", "</a", "< ", "<3", "&", "&amp;", "&amp", "&lt;br&gt;",
    "&#65;", "&#x41;", "&#", "&nosuch;", "& ", "&eacute;", "&#0;", "&#1114112;",
]  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(MARKUP),
    st.sampled_from(["cannot", "Gonna", "wanna", "lemme ", "don't", "can not", " not ", "'tis", "it's"]),
    st.text(max_size=8),
    st.text(alphabet="aAbBiIzZ019 .,;'\"<>&/!#-\n\t\0", max_size=12),
)


@settings(max_examples=3_000, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
@example("a<br></br>b")
@example("fi</i>lm")
@example("<\u0131>a")
@example("\u212a\u0130 \ud800 cannot")
def test_nasty_text_gives_the_words_of_the_definition(review: str) -> None:
    assert words(review) == reference_words(review)


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=60), st.integers(1, 2_000))
def test_long_text_of_any_script_gives_the_words_of_the_definition(piece: str, times: int) -> None:
    assert words(piece * times) == reference_words(piece * times)


@pytest.mark.parametrize("setting", STOP_WORDS)
def test_stop_words_are_left_out_as_in_the_definition(
    setting: str, few_reviews: list[tuple[str, str]]
) -> None:
    leave_out = stop_words(setting)
    for text, _ in few_reviews:
        assert words(text, leave_out) == reference_words(text, leave_out)


def test_empty_review_has_no_words() -> None:
    assert words("") == []


def test_markup_that_the_parser_rejects_is_plain_text() -> None:
    assert words("good <![% film") == ["good", "film"]


def test_only_the_first_characters_count() -> None:
    assert words("a " * MAX_CHARACTERS) == ["a"] * (MAX_CHARACTERS // 2)


def test_every_contraction_of_letters_that_nltk_splits_is_split() -> None:
    tokenizer = NLTKWordTokenizer()
    for word in ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"):
        assert words(word) == tokenizer.tokenize(word)
        assert len(words(word)) == 2


def test_there_are_179_stop_words() -> None:
    assert len(stop_words("all")) == 179


def test_keep_negations_keeps_all_negations_and_nothing_else() -> None:
    kept = {word for word in stop_words("all") - stop_words("keep-negations") if word.isalpha()}
    assert " ".join(sorted(kept)) == (
        "ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn no nor not shan shouldn "
        "t wasn weren won wouldn"
    )


def test_keep_negations_keeps_the_negation_of_a_sentence() -> None:
    assert words("I don't like it", stop_words("keep-negations")) == ["don", "t", "like"]
    assert words("I don't like it", stop_words("all")) == ["like"]


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of all, keep-negations, none"):
        stop_words("some")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it <3 you <i am lost", ["it", "3", "you", "i", "am", "lost"]),
        ("<p>good</p> <!-- film &amp; more", ["good", "film", "more"]),
        ("<a " * 300 + ">film", ["film"]),
        ("<a>" * 301 + "film", ["a"] * 301 + ["film"]),
        ("<!-- a -->" * 10 + "film", ["film"]),
        ("<!-- a -->" * 11 + "film", ["a"] * 11 + ["film"]),
    ],
)
def test_what_cannot_be_markup_is_plain_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected == reference_words(text)


@pytest.mark.parametrize(
    "piece", ["<a ", "<a/", "<!--", "&#", "<br></br>", "<i>", "<![CDATA[", "</a", "<a b='", "><!["]
)
@pytest.mark.parametrize("times", [100_000, 300])
@pytest.mark.parametrize("filler", ["", "a ", "]", "-", ">"])
def test_hostile_input_is_bounded(piece: str, times: int, filler: str) -> None:
    # 7 s without the bound on the markup, 28 s without that on the characters; a generous limit, because it
    # must hold on any machine.
    start = time.process_time()
    words((piece * times + filler * MAX_CHARACTERS)[:MAX_CHARACTERS])
    assert time.process_time() - start < 2
