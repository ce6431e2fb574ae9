"""Tokenizer compared with its plain definition."""

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer

from sentiment.settings import STOP_WORDS
from sentiment.text.tokenizer import MAX_CHARACTERS, select_stop_words, tokenize
from tests.support.reference_text import reference_unicode_words, reference_words

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
def test_hostile_markup_matches_the_definition(review: str) -> None:
    assert tokenize(review) == reference_words(review)


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=60), st.integers(1, 2_000))
def test_any_script_matches_the_definition(piece: str, times: int) -> None:
    assert tokenize(piece * times) == reference_words(piece * times)


@settings(max_examples=2_000, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
@example("\ufb01lm \u212a\u0130 \ud800 ﾌｨﾙﾑ ①½ e\u0301 ไม่ดี")
def test_unicode_matches_its_definition(review: str) -> None:
    assert tokenize(review, (), "unicode") == reference_unicode_words(review)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Très déçu <br />d'ÊTRE là", ["très", "déçu", "d", "être", "là"]),
        ("这部电影very好", ["这", "部", "电", "影", "very", "好"]),
        ("ラーメン です", ["ラ", "ー", "メ", "ン", "で", "す"]),
        ("فيلم رائع", ["فيلم", "رائع"]),
        ("हिन्दी फ़िल्म", ["हिन्दी", "फ़िल्म"]),
        ("Отличный ФИЛЬМ 10/10", ["отличный", "фильм", "10", "10"]),
        ("cannot don't 😀", ["cannot", "don", "t"]),
        ("\uff46\uff49\uff4c\uff4d", ["film"]),
    ],
)
def test_unicode_words(text: str, words: list[str]) -> None:
    # NFKC composes and decomposes characters.
    expected = [unicodedata.normalize("NFKC", word) for word in words]
    assert tokenize(text, (), "unicode") == expected


def test_tokenizers_agree_on_plain_english() -> None:
    assert tokenize("A GOOD film, 9/10!", (), "unicode") == tokenize("A GOOD film, 9/10!")


def test_unicode_removes_stop_words() -> None:
    assert tokenize("le café", {"le"}, "unicode") == ["café"]


@pytest.mark.parametrize("setting", STOP_WORDS)
def test_stop_words_match_the_definition(setting: str, few_reviews: list[tuple[str, str]]) -> None:
    stop_words = select_stop_words(setting)
    for text, _ in few_reviews:
        assert tokenize(text, stop_words) == reference_words(text, stop_words)


def test_empty_review_has_no_words() -> None:
    assert tokenize("") == []


def test_rejected_markup_is_plain_text() -> None:
    assert tokenize("good <![% film") == ["good", "film"]


def test_text_beyond_the_limit_is_ignored() -> None:
    assert tokenize("a " * MAX_CHARACTERS) == ["a"] * (MAX_CHARACTERS // 2)


def test_contractions_without_apostrophe_are_split() -> None:
    tokenizer = NLTKWordTokenizer()
    for word in ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"):
        assert tokenize(word) == tokenizer.tokenize(word)
        assert len(tokenize(word)) == 2


def test_stop_word_list_has_179_words() -> None:
    assert len(select_stop_words("all")) == 179


def test_keep_negations_keeps_exactly_the_negations() -> None:
    kept = {word for word in select_stop_words("all") - select_stop_words("keep-negations") if word.isalpha()}
    assert " ".join(sorted(kept)) == (
        "ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn no nor not shan shouldn "
        "t wasn weren won wouldn"
    )


def test_keep_negations_keeps_dont() -> None:
    assert tokenize("I don't like it", select_stop_words("keep-negations")) == ["don", "t", "like"]
    assert tokenize("I don't like it", select_stop_words("all")) == ["like"]


def test_unknown_stop_words_are_rejected() -> None:
    with pytest.raises(ValueError, match="expected one of all, keep-negations, none"):
        select_stop_words("some")


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
def test_excess_markup_is_plain_text(text: str, expected: list[str]) -> None:
    assert tokenize(text) == expected == reference_words(text)


@pytest.mark.parametrize(
    "piece", ["<a ", "<a/", "<!--", "&#", "<br></br>", "<i>", "<![CDATA[", "</a", "<a b='", "><!["]
)
@pytest.mark.parametrize("times", [100_000, 300])
@pytest.mark.parametrize("filler", ["", "a ", "]", "-", ">"])
def test_hostile_input_takes_bounded_time(piece: str, times: int, filler: str) -> None:
    # 7 s without the limit on markup, 28 s without the limit on characters.
    start = time.process_time()
    tokenize((piece * times + filler * MAX_CHARACTERS)[:MAX_CHARACTERS])
    assert time.process_time() - start < 2
