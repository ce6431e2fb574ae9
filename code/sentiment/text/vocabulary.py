"""The lookup table: words to integers.

Id 0 is "no word" (padding) and id 1 is "infrequent word" (any word that the table does not hold); the
words themselves follow, the most frequent first; then phrases, which are words with a space between them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from byoc.errors import ArtifactError

UNK_ID = 1
FIRST_WORD = 2
LONGEST = 3  # words of a phrase


class Vocabulary:
    """An immutable lookup table.

    Args:
        words: distinct words; the first one gets id 2.
        phrases: pairs and triples of these words; the first one's id follows the last word's.
    """

    def __init__(self, words: Sequence[str], phrases: Sequence[str] = ()) -> None:
        self.words = tuple(words)
        self.phrases = tuple(phrases)
        self._ids = {word: FIRST_WORD + i for i, word in enumerate(self.words)}

    @classmethod
    def most_frequent(cls, words: Sequence[str], counts: NDArray[np.int64], vocab_size: int) -> Self:
        """The table of the most frequent words; equally frequent ones in alphabetical order.

        Args:
            words: distinct words.
            counts: [words], how often each occurs; a word that never does is left out.
            vocab_size: ids at most, the two that are no words included.
        """
        present = [i for i in range(len(words)) if counts[i] > 0]
        present.sort(key=lambda i: (-counts[i], words[i]))
        return cls([words[i] for i in present[: vocab_size - FIRST_WORD]])

    def __len__(self) -> int:
        """The number of ids."""
        return self.first_phrase + len(self.phrases)

    @property
    def first_phrase(self) -> int:
        """The id of the first phrase, larger than that of any word."""
        return FIRST_WORD + len(self.words)

    def word(self, word_id: int) -> str:
        """The word of an id."""
        return self.words[word_id - FIRST_WORD]

    def ids(self, words: Iterable[str]) -> list[int]:
        """One id a word."""
        get = self._ids.get
        return [get(word, UNK_ID) for word in words]

    def save(self, path: Path) -> None:
        """Write the table as JSON: ``{"words": [...], "phrases": [...]}``, in the order of the ids."""
        path.write_text(json.dumps({"words": self.words, "phrases": self.phrases}), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the table back.

        Raises:
            ArtifactError: the file cannot be read or is not such a table.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error
        parts = content if isinstance(content, Mapping) else {}
        words, phrases = parts.get("words"), parts.get("phrases", [])
        if not _are_strings(words) or not _are_strings(phrases):
            raise ArtifactError(f'{path}: expected {{"words": [...], "phrases": [...]}} with strings')
        if len({*words, *phrases}) != len(words) + len(phrases):
            raise ArtifactError(f"{path}: a word or phrase occurs twice")
        known = set(words)
        if not all(
            1 < len(phrase.split()) <= LONGEST and known.issuperset(phrase.split()) for phrase in phrases
        ):
            raise ArtifactError(f"{path}: expected phrases of two or {LONGEST} of the words")
        return cls(words, phrases)


def _are_strings(found: object) -> TypeGuard[list[str]]:
    return isinstance(found, list) and all(isinstance(entry, str) for entry in found)
