"""Reviews as word ids, read as a stream: no text stays in memory.

Words get provisional ids in the order in which they are met, since the lookup table is not known before
the last review has been read. ``encode`` then replaces those ids, in place, by the table's.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.data.reviews import Review
from sentiment.data.sources import Sources
from sentiment.text.sequences import Sequences, truncate
from sentiment.text.vocabulary import Vocabulary

Tokenizer = Callable[[str], list[str]]


class Share(NamedTuple):
    """Which reviews of a channel a process takes: every ``parts``-th, from number ``part`` on.

    Attributes:
        part: counted from 0.
        parts: how many shares there are of what this host has.
        first: the position, among the reviews of all hosts, of this host's first one.
    """

    part: int = 0
    parts: int = 1
    first: int = 0


WHOLE = Share()


class WordTable:
    """Provisional ids of distinct words, in the order in which they were met."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def ids(self, words: list[str]) -> list[int]:
        """One provisional id a word; new words are added."""
        table = self._ids
        return [table.setdefault(word, len(table)) for word in words]

    def count(self, corpus: "Corpus") -> NDArray[np.int64]:
        """[distinct words], how often each occurs in a corpus that is not yet encoded."""
        return np.bincount(corpus.sequences.ids, minlength=len(self._ids))

    @property
    def words(self) -> list[str]:
        """The distinct words, in the order of their provisional ids."""
        return list(self._ids)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Reviews as ids, with what is known of each.

    Attributes:
        sequences: the words of each review.
        labels: [reviews], 1 for positive, 0 for negative, ``NO_LABEL`` for those without.
        digests: [reviews], a hash of each text; equal texts have equal ones.
        movies: [reviews], a hash of what each is about, or of its text where the data does not tell.
        positions: [reviews], each one's place in the channel; they rise, with gaps where others have shares.
        sources: [reviews], where each comes from.
    """

    sequences: Sequences
    labels: NDArray[np.int8]
    digests: NDArray[np.uint64]
    movies: NDArray[np.uint64]
    positions: NDArray[np.int64]
    sources: Sources

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def tells_movies(self) -> bool:
        """Whether it is known of any review what it is about."""
        return bool((self.movies != self.digests).any())

    def select(self, keep: NDArray[np.bool_]) -> "Corpus":
        """The reviews marked True, in the same order."""
        lengths = self.sequences.lengths
        ids = self.sequences.ids[np.repeat(keep, lengths)]
        offsets = np.concatenate([[0], np.cumsum(lengths[keep])])
        return Corpus(
            Sequences(ids, offsets),
            self.labels[keep],
            self.digests[keep],
            self.movies[keep],
            self.positions[keep],
            self.sources.select(keep),
        )

    def without(self, digests: NDArray[np.uint64]) -> "Corpus":
        """The reviews whose text is none of these, in the same order."""
        return self.select(~np.isin(self.digests, digests))

    def without_movies(self, movies: NDArray[np.uint64]) -> "Corpus":
        """The reviews that are about none of these, in the same order."""
        return self.select(~np.isin(self.movies, movies))


class _Tokens:
    """A growing array of ids. Unlike ``array.array`` it never reserves more than one block."""

    _BLOCK = 2**16

    def __init__(self) -> None:
        self._ids = np.empty(0, np.int32)
        self.count = 0

    def extend(self, ids: list[int]) -> None:
        end = self.count + len(ids)
        if end > len(self._ids):
            # The system moves pages, not bytes, when so large an array grows.
            self._ids.resize(end + self._BLOCK, refcheck=False)
        self._ids[self.count : end] = ids
        self.count = end

    @property
    def array(self) -> NDArray[np.int32]:
        return self._ids[: self.count]


@dataclass(slots=True)
class _Builder:
    """Grows a corpus, in arrays of machine integers."""

    ids: _Tokens = field(default_factory=_Tokens)
    offsets: "array[int]" = field(default_factory=lambda: array("q", [0]))
    labels: "array[int]" = field(default_factory=lambda: array("b"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    movies: "array[int]" = field(default_factory=lambda: array("Q"))
    positions: "array[int]" = field(default_factory=lambda: array("q"))
    sources: Sources = field(default_factory=Sources)

    def add(self, position: int, review: Review, ids: list[int]) -> None:
        self.positions.append(position)
        self.ids.extend(ids)
        self.offsets.append(self.ids.count)
        self.labels.append(review.label)
        self.digests.append(_digest(review.text))
        self.movies.append(_digest(review.movie or review.text))
        self.sources.append(review.source)

    def build(self) -> Corpus:
        """The corpus; shares the memory."""
        return Corpus(
            Sequences(self.ids.array, np.asarray(self.offsets)),
            np.asarray(self.labels),
            np.asarray(self.digests),
            np.asarray(self.movies),
            np.asarray(self.positions),
            self.sources,
        )


def _digest(text: str) -> int:
    raw = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")


def is_held_out(review: Review, fraction: float, seed: int) -> bool:
    """Whether a review belongs to the validation part; about ``fraction`` of all do.

    Decided by a hash of the seed and the review's movie, or of its text where the movie is not known, so
    that no movie is on both sides, and shards of one data set agree without talking.
    """
    return _digest(f"{seed}:{review.movie or review.text}") < fraction * 2**64


def read(reviews: Iterable[Review], tokenize: Tokenizer, table: WordTable, share: Share = WHOLE) -> Corpus:
    """A corpus with provisional ids."""
    builder = _Builder()
    for position, review in _shared(reviews, share):
        builder.add(position, review, table.ids(tokenize(review.text)))
    return builder.build()


def read_and_split(
    reviews: Iterable[Review],
    tokenize: Tokenizer,
    table: WordTable,
    fraction: float,
    seed: int,
    share: Share = WHOLE,
) -> tuple[Corpus, Corpus]:
    """A training and a validation corpus with provisional ids.

    A text that was written about two movies may be hashed to both sides. The validation part has to do
    ``without`` it, wherever the other one was read.
    """
    training, validation = _Builder(), _Builder()
    for position, review in _shared(reviews, share):
        side = validation if is_held_out(review, fraction, seed) else training
        side.add(position, review, table.ids(tokenize(review.text)))
    return training.build(), validation.build()


def _shared(reviews: Iterable[Review], share: Share) -> Iterator[tuple[int, Review]]:
    for position, review in enumerate(reviews):
        if position % share.parts == share.part:
            yield share.first + position, review


def encode(corpus: Corpus, table: WordTable, vocabulary: Vocabulary, max_length: int, keep: str) -> Sequences:
    """The sequences of a corpus with the vocabulary's ids, cut to ``max_length``.

    Overwrites the provisional ids: the corpus keeps everything but its sequences.
    """
    final = np.array(vocabulary.ids(table.words), np.int32)
    provisional = corpus.sequences
    out = provisional.ids
    offsets = np.zeros(len(corpus) + 1, np.int64)
    end = 0
    for i in range(len(corpus)):
        ids = truncate(final[provisional[i]], max_length, keep)
        # Never overtakes what is still to be read: a cut sequence is no longer than before.
        out[end : end + len(ids)] = ids
        end += len(ids)
        offsets[i + 1] = end
    return Sequences(out[:end], offsets)
