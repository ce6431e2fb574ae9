"""One review to its words.

The definition: remove HTML with BeautifulSoup (a text with more of it than any review, and what looks like
it behind the last ">", is plain), lower the case, turn every run of characters outside
``[a-z0-9]`` into a space, tokenize with nltk, remove stop words. It is written out in
``tests/support/reference_text.py``; this module gives the same words without most of the work:

* the HTML parser runs only where there is markup other than the formatting tags that reviews are full
  of, each of which separates text just as a space does;
* once only letters, digits and spaces are left, nothing of nltk's tokenizer can match but the few
  contractions that it splits without an apostrophe ("cannot" into "can", "not").
"""

import re
import warnings
from collections.abc import Collection
from importlib.resources import files

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.exceptions import ParserRejectedMarkup
from nltk.tokenize.destructive import MacIntyreContractions

from byoc.serving.limits import MAX_CHARACTERS
from sentiment.settings import STOP_WORDS

# Reviews are what they are; nobody can act on these.
warnings.filterwarnings("ignore", category=MarkupResemblesLocatorWarning)
warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)

# What a text may hold of "<" and "&", and of "<!", to count as HTML. html.parser needs up to seconds for a
# text that is full of them; of 75,000 reviews of IMDb, the ones with most have 128 and 1.
MAX_MARKUP = 300
MAX_DECLARATIONS = 10

# A void element's end tag is left to the parser: BeautifulSoup ignores "</br>" behind "<br>", so that
# it does not separate.
_FORMATTING_TAG = re.compile(r"</?(?:i|b|u|p|em|strong)>|<(?:br|hr) ?/?>", re.ASCII | re.IGNORECASE)
# Where html.parser may see anything but literal text: the start of a tag, of a declaration, or of a
# character reference.
_MARKUP = re.compile(r"<[A-Za-z/!?]|&[A-Za-z#]")
_MARKUP_START = re.compile(r"<(?=[A-Za-z/!?])")

_TO_SPACE = bytes(code if chr(code).isascii() and chr(code).isalnum() else ord(" ") for code in range(256))


def _contractions() -> dict[str, tuple[str, str]]:
    """Words of letters alone that nltk's tokenizer splits in two, from its own patterns."""
    pattern = re.compile(r"\(\?i\)\\b\(([a-z]+)\)\(\?#X\)\(([a-z]+)\)(?:\\b|\(\?=\\s\))")
    matches = map(pattern.fullmatch, MacIntyreContractions.CONTRACTIONS2)
    return {match[1] + match[2]: (match[1], match[2]) for match in matches if match}


_CONTRACTIONS = _contractions()
_ENGLISH_STOP_WORDS = (files(__package__) / "stop_words.txt").read_text("ascii").split()


def _is_negation(word: str) -> bool:
    """Whether a stop word negates, whole ("don't") or as the regular expression leaves it ("don", "t")."""
    return (
        word in {"no", "nor", "not", "t", "ain"} or word.endswith("n't") or f"{word}'t" in _ENGLISH_STOP_WORDS
    )


def stop_words(setting: str) -> frozenset[str]:
    """The words to leave out: nltk's English list ("all"), without the negations, or none.

    Raises:
        ValueError: ``setting`` is none of ``STOP_WORDS``.
    """
    match setting:
        case "all":
            return frozenset(_ENGLISH_STOP_WORDS)
        case "keep-negations":
            return frozenset(word for word in _ENGLISH_STOP_WORDS if not _is_negation(word))
        case "none":
            return frozenset()
    raise ValueError(f"stop_words is {setting!r}, expected one of {', '.join(STOP_WORDS)}")


def _without_html(review: str) -> str:
    """The text of a review; what separates words may be any character outside ``[a-z0-9]``."""
    if review.count("<") + review.count("&") > MAX_MARKUP or review.count("<!") > MAX_DECLARATIONS:
        return review
    plain = _FORMATTING_TAG.sub(" ", review) if "<" in review else review
    if not _MARKUP.search(plain):
        return plain
    # The parser looks for a tag's end from every start again.
    head, end, tail = review.rpartition(">")
    review = head + end + _MARKUP_START.sub("< ", tail)
    try:
        # BeautifulSoup cannot take the lone surrogates that JSON can carry.
        parsable = review.encode("utf-8", "replace").decode("utf-8")
        return BeautifulSoup(parsable, "html.parser").get_text(separator=" ")
    except ParserRejectedMarkup:
        return review


def words(review: str, leave_out: Collection[str] = frozenset()) -> list[str]:
    """The words of one review, in order, lower case, of ``[a-z0-9]`` only.

    Args:
        review: raw text, HTML allowed; only its first ``MAX_CHARACTERS`` count.
        leave_out: words to drop, usually ``stop_words(...)``.
    """
    text = _without_html(review[:MAX_CHARACTERS]).lower()
    found = text.encode("ascii", "replace").translate(_TO_SPACE).decode("ascii").split()
    if not _CONTRACTIONS.keys().isdisjoint(found):
        found = [part for word in found for part in _CONTRACTIONS.get(word, (word,))]
    return [word for word in found if word not in leave_out] if leave_out else found
