"""The share of letters that the tokenizer "ascii" drops; needs no other package."""

import html
import logging
import re
import unicodedata
from itertools import islice

from byoc.errors import DataError

logger = logging.getLogger(__name__)

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_NO_LETTERS = bytes(code for code in range(256) if not (chr(code).isascii() and chr(code).isalpha()))
_WORD = re.compile(r"[^\W\d_]+")
_EXAMPLES = 5  # words in the error
_COUNTED = 100
_STEP = 100


class LetterCounter:
    """Counts letters (Unicode category L), and the ones that the tokenizer "ascii" drops.

    Counting takes as long as reading: after the first reviews, every ``_STEP``-th stands for that many.
    """

    def __init__(self) -> None:
        self.letters = 0
        self.dropped = 0
        self._reviews = 0
        self._examples: dict[str, None] = {}

    def add(self, review: str) -> None:
        """Count the letters of a review."""
        self._reviews += 1
        if self._reviews > _COUNTED and self._reviews % _STEP:
            return
        weight = 1 if self._reviews <= _COUNTED else _STEP
        if "&" in review:
            review = html.unescape(review)
        if not review.isascii():
            review = unicodedata.normalize("NFC", review)  # a letter and its accent are one letter
        self.letters += weight * len(review.encode("ascii", "ignore").translate(None, _NO_LETTERS))
        if not review.isascii():
            dropped = sum(map(str.isalpha, "".join(_NOT_ASCII.findall(review))))
            self.letters += weight * dropped
            self.dropped += weight * dropped
            if dropped and len(self._examples) < _EXAMPLES:
                words = (word[:20] for word in _WORD.findall(review) if not word.isascii())
                self._examples |= dict.fromkeys(islice(words, _EXAMPLES - len(self._examples)))

    def check(self, place: str, limit: float) -> None:
        """Log the share of dropped letters.

        Raises:
            DataError: it exceeds the limit; with examples and remedies.
        """
        share = self.dropped / max(1, self.letters)
        if share > limit:
            raise DataError(
                f"{place}: tokenizer=ascii would drop {share:.1%} of the letters, for example of "
                f"{', '.join(self._examples)}; set tokenizer=unicode, or raise max_dropped_letters "
                f"(now {limit:g})"
            )
        logger.info("%s: tokenizer=ascii drops %.3f %% of the letters", place, 100 * share)
