"""Tokenization: HTML removal, lowercasing, splitting, stop words.

Definition: strip HTML with BeautifulSoup (a text with more markup than ``MAX_MARKUP`` stays as it is, and so
does anything that resembles a tag after the last ">"), lowercase, replace each run of characters outside
``[a-z0-9]`` by a space, tokenize with nltk, drop stop words (tests/support/reference_text.py). This module
returns the same words faster:

* The HTML parser runs only for markup other than the common formatting tags, each of which separates words
  just as a space does.
* Once only letters, digits and spaces are left, nltk's tokenizer can only split the few contractions without
  an apostrophe ("cannot" into "can", "not").
"""

import re
import sys
import unicodedata
import warnings
from collections.abc import Collection
from importlib.resources import files
from typing import Any

import regex
from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.exceptions import ParserRejectedMarkup

from sentiment.settings import STOP_WORDS

# Nobody can act on warnings about the content of reviews.
warnings.filterwarnings("ignore", category=MarkupResemblesLocatorWarning)
warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)

# html.parser takes time quadratic in the length of hostile input. The longest IMDb review has
# 13,704 characters.
MAX_CHARACTERS = 20_000
# Limits on the number of "<" and "&", and of "<!": html.parser takes seconds for a text full of them. The
# maxima over 75,000 IMDb reviews are 128 and 1.
MAX_MARKUP = 300
MAX_DECLARATIONS = 10

# End tags of void elements are left to the parser: BeautifulSoup ignores "</br>" after "<br>", so it does not
# separate words.
_FORMATTING_TAG = re.compile(r"</?(?:i|b|u|p|em|strong)>|<(?:br|hr) ?/?>", re.ASCII | re.IGNORECASE)
# Anything html.parser may not take as literal text: the start of a tag, declaration or character reference.
_MARKUP = re.compile(r"<[A-Za-z/!?]|&[A-Za-z#]")
_MARKUP_START = re.compile(r"<(?=[A-Za-z/!?])")

# Scripts without spaces between words.
_SINGLE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}"
_UNICODE_WORD = regex.compile(rf"[{_SINGLE}]|[[\p{{L}}\p{{M}}\p{{Nd}}]--[{_SINGLE}]]+", regex.VERSION1)

_TO_SPACE = bytes(code if chr(code).isascii() and chr(code).isalnum() else ord(" ") for code in range(256))


def _contractions() -> dict[str, tuple[str, str]]:
    """Words without an apostrophe that nltk's tokenizer splits in two, from its patterns."""
    # nltk imports both wherever they are installed, for its other parts: 90 MB and two seconds of each start.
    hidden = [name for name in ("scipy", "sklearn") if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))
    from nltk.tokenize.destructive import MacIntyreContractions  # noqa: PLC0415 (while they are hidden)

    for name in hidden:
        del modules[name]
    pattern = re.compile(r"\(\?i\)\\b\(([a-z]+)\)\(\?#X\)\(([a-z]+)\)(?:\\b|\(\?=\\s\))")
    matches = map(pattern.fullmatch, MacIntyreContractions.CONTRACTIONS2)
    return {match[1] + match[2]: (match[1], match[2]) for match in matches if match}


_CONTRACTIONS = _contractions()
_ENGLISH_STOP_WORDS = (files(__package__) / "stop_words.txt").read_text("ascii").split()


def _is_negation(word: str) -> bool:
    """Whether a stop word negates, whole ("don't") or as split at the apostrophe ("don", "t")."""
    return (
        word in {"no", "nor", "not", "t", "ain"} or word.endswith("n't") or f"{word}'t" in _ENGLISH_STOP_WORDS
    )


def select_stop_words(setting: str) -> frozenset[str]:
    """Stop words of a setting: nltk's English list ("all"), the list without negations, or none.

    Raises:
        ValueError: ``setting`` is not in ``STOP_WORDS``.
    """
    match setting:
        case "all":
            return frozenset(_ENGLISH_STOP_WORDS)
        case "keep-negations":
            return frozenset(word for word in _ENGLISH_STOP_WORDS if not _is_negation(word))
        case "none":
            return frozenset()
    raise ValueError(f"stop_words is {setting!r}, expected one of {', '.join(STOP_WORDS)}")


def _strip_html(review: str) -> str:
    """Replace markup by any characters outside ``[a-z0-9]``."""
    if review.count("<") + review.count("&") > MAX_MARKUP or review.count("<!") > MAX_DECLARATIONS:
        return review
    plain = _FORMATTING_TAG.sub(" ", review) if "<" in review else review
    if not _MARKUP.search(plain):
        return plain
    # The parser searches for the end of a tag from each start: quadratic time without a ">".
    head, end, tail = review.rpartition(">")
    review = head + end + _MARKUP_START.sub("< ", tail)
    try:
        # BeautifulSoup rejects the lone surrogates that JSON can carry.
        parsable = review.encode("utf-8", "replace").decode("utf-8")
        return BeautifulSoup(parsable, "html.parser").get_text(separator=" ")
    except ParserRejectedMarkup:
        return review


def tokenize(review: str, stop_words: Collection[str] = frozenset(), tokenizer: str = "ascii") -> list[str]:
    """Split the first ``MAX_CHARACTERS`` characters into lowercase words without stop words.

    The tokenizer "ascii" makes words of ``[a-z0-9]``, "unicode" of the letters, marks and digits of every
    script; each character of a script without spaces is a word.
    """
    text = _strip_html(review[:MAX_CHARACTERS])
    if tokenizer == "unicode" and not text.isascii():
        words = _UNICODE_WORD.findall(unicodedata.normalize("NFKC", text).lower())
    else:
        words = text.lower().encode("ascii", "replace").translate(_TO_SPACE).decode("ascii").split()
        if tokenizer == "ascii" and not _CONTRACTIONS.keys().isdisjoint(words):
            words = [half for word in words for half in _CONTRACTIONS.get(word, (word,))]
    return [word for word in words if word not in stop_words] if stop_words else words
