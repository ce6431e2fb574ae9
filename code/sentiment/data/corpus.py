"""Reviews as token ids, read as a stream: no text stays in memory.

Words get provisional ids by first occurrence, because the vocabulary is only known once all reviews have been
read. ``encode`` then overwrites them by the vocabulary's ids.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.data.channels import Review, Source
from sentiment.text.sequences import Sequences, truncate
from sentiment.text.vocabulary import Vocabulary

Tokenizer = Callable[[str], list[str]]


class Shard(NamedTuple):
    """The reviews of a channel that one process reads: every ``size``-th, starting with ``rank``."""

    rank: int = 0
    size: int = 1
    offset: int = 0  # position of this host's first review among the reviews of all hosts

    def select(self, reviews: Iterable[Review]) -> Iterator[tuple[int, Review]]:
        """Positions and reviews of the shard."""
        for position, review in enumerate(reviews):
            if position % self.size == self.rank:
                yield self.offset + position, review


class ProvisionalVocabulary:
    """Ids of the words that a tokenizer finds in texts, by first occurrence."""

    def __init__(self, tokenize: Tokenizer) -> None:
        self._tokenize = tokenize
        self._ids: dict[str, int] = {}

    def ids(self, text: str) -> list[int]:
        """Look up the id of each word of a text, adding new words."""
        ids = self._ids
        return [ids.setdefault(word, len(ids)) for word in self._tokenize(text)]

    def count(self, *corpora: "Corpus") -> dict[str, int]:
        """Count the occurrences of every word in corpora that are not encoded yet."""
        counts = [np.bincount(corpus.sequences.ids, minlength=len(self._ids)) for corpus in corpora]
        return dict(zip(self._ids, np.sum(counts, axis=0).tolist(), strict=True))

    @property
    def words(self) -> list[str]:
        """Distinct words, in the order of their ids."""
        return list(self._ids)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Reviews as token ids."""

    sequences: Sequences
    labels: NDArray[np.int8]  # [reviews], 1 for positive, 0 for negative, ``NO_LABEL`` without a label
    texts: NDArray[np.uint64]  # [reviews], hash of each text
    groups: NDArray[np.uint64]  # [reviews], hash of each group id, or of the text if the group is unknown
    positions: NDArray[np.int64]  # [reviews], position in the channel; ascending, with gaps for other shards
    sources: list[Source]  # [reviews], or empty for reviews to train on, whose origin nobody needs

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_group_ids(self) -> bool:
        """Whether the group of any review is known."""
        return bool((self.groups != self.texts).any())

    def select(self, keep: NDArray[np.bool_]) -> "Corpus":
        """Keep the reviews marked True."""
        lengths = self.sequences.lengths
        ids = self.sequences.ids[np.repeat(keep, lengths)]
        offsets = np.concatenate([[0], np.cumsum(lengths[keep])])
        return Corpus(
            Sequences(ids, offsets),
            self.labels[keep],
            self.texts[keep],
            self.groups[keep],
            self.positions[keep],
            [source for source, is_kept in zip(self.sources, keep, strict=False) if is_kept],
        )

    def drop_texts(self, texts: NDArray[np.uint64]) -> "Corpus":
        """Drop the reviews with one of these texts."""
        return self.select(~np.isin(self.texts, texts))

    def drop_groups(self, groups: NDArray[np.uint64]) -> "Corpus":
        """Drop the reviews of these groups."""
        return self.select(~np.isin(self.groups, groups))


@dataclass(slots=True)
class CorpusBuilder:
    """Grows a corpus in arrays of machine integers."""

    keep_sources: bool
    ids: "array[int]" = field(default_factory=lambda: array("i"))
    offsets: "array[int]" = field(default_factory=lambda: array("q", [0]))
    labels: "array[int]" = field(default_factory=lambda: array("b"))
    texts: "array[int]" = field(default_factory=lambda: array("Q"))
    groups: "array[int]" = field(default_factory=lambda: array("Q"))
    positions: "array[int]" = field(default_factory=lambda: array("q"))
    sources: list[Source] = field(default_factory=list)

    def add(self, position: int, review: Review, ids: list[int]) -> None:
        """Append one review."""
        self.positions.append(position)
        self.ids.extend(ids)
        self.offsets.append(len(self.ids))
        self.labels.append(review.label)
        self.texts.append(hash_text(review.text))
        self.groups.append(hash_text(review.group or review.text))
        if self.keep_sources:
            self.sources.append(review.source)

    def build(self) -> Corpus:
        """Finish the corpus, which shares the memory."""
        return Corpus(
            Sequences(np.asarray(self.ids), np.asarray(self.offsets)),
            np.asarray(self.labels),
            np.asarray(self.texts),
            np.asarray(self.groups),
            np.asarray(self.positions),
            self.sources,
        )


def hash_text(text: str) -> int:
    """64 bits; equal on every host."""
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def read(
    reviews: Iterable[Review], vocabulary: ProvisionalVocabulary, shard: Shard, keep_sources: bool = False
) -> Corpus:
    """Read a corpus with provisional ids."""
    builder = CorpusBuilder(keep_sources)
    for position, review in shard.select(reviews):
        builder.add(position, review, vocabulary.ids(review.text))
    return builder.build()


def encode(
    corpus: Corpus, provisional: ProvisionalVocabulary, vocabulary: Vocabulary, max_length: int, keep: str
) -> Sequences:
    """Replace provisional ids by the vocabulary's and truncate; overwrites the sequences of the corpus."""
    final = np.array(vocabulary.ids(provisional.words), np.int32)
    out = corpus.sequences.ids
    offsets = np.zeros(len(corpus) + 1, np.int64)
    end = 0
    for i in range(len(corpus)):
        ids = truncate(final[corpus.sequences[i]], max_length, keep)
        # Never overtakes the reading position: truncation shortens sequences only.
        out[end : end + len(ids)] = ids
        end += len(ids)
        offsets[i + 1] = end
    return Sequences(out[:end], offsets)
