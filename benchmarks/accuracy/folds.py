"""Five folds of the labeled reviews that share no movie."""

from collections.abc import Iterable
from pathlib import Path

from sentiment.data.acl_imdb import SENTIMENTS
from sentiment.data.channels import UNLABELED_CHANNEL, Review, read_channel
from sentiment.data.corpus import hash_text

FOLDS = 5


def fold_of(review: Review) -> int:
    """Fold of a review, by a hash of its movie, or of its text if the movie is unknown."""
    return hash_text(review.group or review.text) % FOLDS


def split(folder: Path, fold: int) -> tuple[list[Review], list[Review]]:
    """Training reviews (all other folds) and validation reviews (this fold, counted from 0).

    A text that was written about movies of both sides is used for training only.
    """
    sides: tuple[list[Review], list[Review]] = ([], [])
    for review in read_channel("training", folder):
        sides[fold_of(review) == fold].append(review)
    training_texts = {review.text for review in sides[False]}
    return sides[False], [review for review in sides[True] if review.text not in training_texts]


def write_channels(folder: Path, fold: int, base: Path) -> tuple[list[Review], list[Review]]:
    """Write both sides of a fold as the training and validation channels of the job in ``base``.

    ``folder`` has the official layout, with the addresses of the movies.
    """
    sides = split(folder, fold)
    for name, reviews in zip(("training", "validation"), sides, strict=True):
        _write(reviews, base / "input" / "data" / name)
    return sides


def link_unlabeled(folder: Path, base: Path, wanted: bool) -> None:
    """Add the channel of unlabeled reviews to a job, or remove it."""
    channel = base / "input" / "data" / UNLABELED_CHANNEL
    channel.unlink(missing_ok=True)
    if wanted:
        channel.symlink_to(folder)


def _write(reviews: Iterable[Review], channel: Path) -> None:
    """Write reviews in the official layout, in their order; the file names hold a rating, 1 or 10."""
    movies: dict[str, list[str | None]] = {name: [] for name in SENTIMENTS}
    for name in SENTIMENTS:
        (channel / name).mkdir(parents=True)
    for review in reviews:
        name = "pos" if review.label else "neg"
        file = channel / name / f"{len(movies[name]):05}_{10 if review.label else 1}.txt"
        file.write_text(review.text, "utf-8")
        movies[name].append(review.group)
    for name, ids in movies.items():
        if None not in ids:
            lines = (f"https://www.imdb.com/title/{movie}/\n" for movie in ids)
            (channel / f"urls_{name}.txt").write_text("".join(lines), "utf-8")
