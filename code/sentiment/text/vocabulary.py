"""The vocabulary: token ids of words.

Id 0 is padding and, for the language model, the end of a review; id 1 is the unknown token. The words follow
by descending frequency.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from byoc.errors import ArtifactError

PAD_ID = 0
UNK_ID = 1
FIRST_WORD = 2


class Vocabulary:
    """Immutable mapping of distinct words to ids."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: FIRST_WORD + i for i, word in enumerate(self.words)}

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], vocab_size: int) -> Self:
        """Keep the most frequent words, ties in alphabetical order, up to ``vocab_size`` ids in total."""
        words = sorted((word for word in counts if counts[word]), key=lambda word: (-counts[word], word))
        return cls(words[: vocab_size - FIRST_WORD])

    def __len__(self) -> int:
        """Number of ids."""
        return FIRST_WORD + len(self.words)

    def ids(self, words: Iterable[str]) -> list[int]:
        """Look up the id of each word, ``UNK_ID`` for an unknown one."""
        get = self._ids.get
        return [get(word, UNK_ID) for word in words]

    def save(self, path: Path) -> None:
        """Write a JSON list of the words, in the order of their ids."""
        path.write_text(json.dumps(self.words), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved vocabulary.

        Raises:
            ArtifactError: the file cannot be read or is no vocabulary.
        """
        try:
            words = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ArtifactError(f"{path}: expected a list of words")
        if len(set(words)) != len(words):
            raise ArtifactError(f"{path}: duplicate word")
        return cls(words)
