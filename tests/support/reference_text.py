"""Plain definition of the tokenizer, the oracle of test_tokenizer."""

import re
import warnings
from collections.abc import Collection

from bs4 import BeautifulSoup
from bs4.exceptions import ParserRejectedMarkup
from nltk import word_tokenize


def reference_words(review: str, stop_words: Collection[str] = frozenset()) -> list[str]:
    """Split a review into words."""
    # Lone surrogates, which no UTF-8 text can hold, count as "?".
    review = review[:20_000].encode("utf-8", "replace").decode("utf-8")
    if review.count("<") + review.count("&") > 300 or review.count("<!") > 10:
        return _plain_words(review, stop_words)
    # Nothing after the last ">" can be a tag.
    head, end, tail = review.rpartition(">")
    review = head + end + re.sub(r"<(?=[A-Za-z/!?])", "< ", tail)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = BeautifulSoup(review, "html.parser").get_text(separator=" ")
    except ParserRejectedMarkup:
        text = review
    return _plain_words(text, stop_words)


def _plain_words(text: str, stop_words: Collection[str]) -> list[str]:
    text = re.sub(r"[^a-z0-9]+", " ", text.lower())
    return [word for word in word_tokenize(text, preserve_line=True) if word not in stop_words]
