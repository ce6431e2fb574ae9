"""Split of the training channel into training and validation reviews."""

from collections.abc import Iterable

from sentiment.data.channels import Review
from sentiment.data.corpus import Corpus, CorpusBuilder, ProvisionalVocabulary, Shard, hash_text


def is_held_out(review: Review, fraction: float, seed: int) -> bool:
    """Whether a review is for validation.

    A hash of the seed and the group id, or of the text if the group is unknown, decides, so that no group is
    on both sides and all processes agree without communication.
    """
    return hash_text(f"{seed}:{review.group or review.text}") < fraction * 2**64


def read_and_split(
    reviews: Iterable[Review], vocabulary: ProvisionalVocabulary, shard: Shard, fraction: float, seed: int
) -> tuple[Corpus, Corpus]:
    """Read a training and a validation corpus with provisional ids.

    A text with two group ids may be on both sides; the caller drops it from validation (``drop_texts``).
    """
    training, validation = CorpusBuilder(keep_sources=False), CorpusBuilder(keep_sources=True)
    for position, review in shard.select(reviews):
        side = validation if is_held_out(review, fraction, seed) else training
        side.add(position, review, vocabulary.ids(review.text))
    return training.build(), validation.build()
