"""Plain definitions of the tokenizers, the oracles of test_tokenizer."""

import re
import unicodedata
import warnings
from collections.abc import Collection

import regex
from bs4 import BeautifulSoup
from bs4.exceptions import ParserRejectedMarkup
from nltk import word_tokenize


def reference_words(review: str, stop_words: Collection[str] = frozenset()) -> list[str]:
    """Split a review into words of ASCII letters and digits."""
    return _plain_words(_strip_html(review), stop_words)


def reference_unicode_words(review: str) -> list[str]:
    """Split a review into words of letters, marks and digits; Han, Kana and Thai by character."""
    words = [""]
    for character in unicodedata.normalize("NFKC", _strip_html(review)).lower():
        if regex.match(r"\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Thai}", character):
            words += [character, ""]
        elif regex.match(r"\p{L}|\p{M}|\p{Nd}", character):
            words[-1] += character
        else:
            words.append("")
    return [word for word in words if word]


def _strip_html(review: str) -> str:
    # Lone surrogates, which no UTF-8 text can hold, count as "?".
    review = review[:20_000].encode("utf-8", "replace").decode("utf-8")
    if review.count("<") + review.count("&") > 300 or review.count("<!") > 10:
        return review
    # Nothing after the last ">" can be a tag.
    head, end, tail = review.rpartition(">")
    review = head + end + re.sub(r"<(?=[A-Za-z/!?])", "< ", tail)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return BeautifulSoup(review, "html.parser").get_text(separator=" ")
    except ParserRejectedMarkup:
        return review


def _plain_words(text: str, stop_words: Collection[str]) -> list[str]:
    text = re.sub(r"[^a-z0-9]+", " ", text.lower())
    return [word for word in word_tokenize(text, preserve_line=True) if word not in stop_words]
