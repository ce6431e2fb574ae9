"""The vocabulary: token ids of words and n-grams.

Id 0 is padding, id 1 the unknown token; the words follow by descending frequency, then the n-grams, which are
words separated by spaces.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeGuard

from byoc.errors import ArtifactError

PAD_ID = 0
UNK_ID = 1
FIRST_WORD = 2
MAX_ORDER = 3  # words of an n-gram


class Vocabulary:
    """Immutable mapping of tokens to ids: distinct words, then distinct n-grams of these words."""

    def __init__(self, words: Sequence[str], ngrams: Sequence[str] = ()) -> None:
        self.words = tuple(words)
        self.ngrams = tuple(ngrams)
        self._ids = {word: FIRST_WORD + i for i, word in enumerate(self.words)}

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], vocab_size: int) -> Self:
        """Keep the most frequent words, ties in alphabetical order, up to ``vocab_size`` ids in total."""
        words = sorted((word for word in counts if counts[word]), key=lambda word: (-counts[word], word))
        return cls(words[: vocab_size - FIRST_WORD])

    def __len__(self) -> int:
        """Number of ids."""
        return self.first_ngram + len(self.ngrams)

    @property
    def first_ngram(self) -> int:
        """Id of the first n-gram, which exceeds every id of a word."""
        return FIRST_WORD + len(self.words)

    def word(self, word_id: int) -> str:
        """Look up a word by its id."""
        return self.words[word_id - FIRST_WORD]

    def ids(self, words: Iterable[str]) -> list[int]:
        """Look up the id of each word, ``UNK_ID`` for an unknown one."""
        get = self._ids.get
        return [get(word, UNK_ID) for word in words]

    def save(self, path: Path) -> None:
        """Write ``{"words": [...], "ngrams": [...]}``, in the order of the ids."""
        path.write_text(json.dumps({"words": self.words, "ngrams": self.ngrams}), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved vocabulary.

        Raises:
            ArtifactError: the file cannot be read or is no vocabulary.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error
        members = content if isinstance(content, Mapping) else {}
        words, ngrams = members.get("words"), members.get("ngrams", [])
        if not _is_list_of_strings(words) or not _is_list_of_strings(ngrams):
            raise ArtifactError(f'{path}: expected {{"words": [...], "ngrams": [...]}} with strings')
        if len({*words, *ngrams}) != len(words) + len(ngrams):
            raise ArtifactError(f"{path}: duplicate token")
        distinct = set(words)
        if not all(
            1 < len(ngram.split()) <= MAX_ORDER and distinct.issuperset(ngram.split()) for ngram in ngrams
        ):
            raise ArtifactError(f"{path}: expected n-grams of 2 to {MAX_ORDER} words of the vocabulary")
        return cls(words, ngrams)


def _is_list_of_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
