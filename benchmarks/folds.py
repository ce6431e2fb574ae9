"""Five parts of the labelled reviews that share no movie, each held out once."""

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sentiment.data.acl_imdb import SENTIMENTS
from sentiment.data.reviews import UNLABELED, Review, read_channel

FOLDS = 5


def existing(text: str) -> Path:
    """The absolute path of a folder, for ``argparse``.

    Raises:
        argparse.ArgumentTypeError: there is none.
    """
    folder = Path(text).resolve()
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no such folder; give the unpacked aclImdb")
    return folder


def fold_of(review: Review) -> int:
    """The fold that a review belongs to: a hash of its movie, or of its text where the movie is not known."""
    name = (review.movie or review.text).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") % FOLDS


def split(folder: Path, fold: int) -> tuple[list[Review], list[Review]]:
    """The reviews of the other folds, to train on, and those of this one, to validate on.

    A text that was written about two movies is not on both sides: it is trained on.
    """
    sides: tuple[list[Review], list[Review]] = ([], [])
    for review in read_channel("training", folder):
        sides[fold_of(review) == fold].append(review)
    known = {review.text for review in sides[False]}
    return sides[False], [review for review in sides[True] if review.text not in known]


def lay_out(folder: Path, fold: int, base: Path) -> tuple[list[Review], list[Review]]:
    """Make the labelled channels of a job that validates on a fold, and return its two sides.

    Args:
        folder: an official layout, the movies' addresses included.
        fold: counted from 0.
        base: where ``input/data/`` goes.
    """
    channels = base / "input" / "data"
    training, validation = split(folder, fold)
    _write(training, channels / "training")
    _write(validation, channels / "validation")
    return training, validation


def give_unlabeled(folder: Path, base: Path, is_wanted: bool) -> None:
    """Make the channel of reviews without labels, or take it away."""
    channel = base / "input" / "data" / UNLABELED
    channel.unlink(missing_ok=True)
    if is_wanted:
        channel.symlink_to(folder)


def _write(reviews: Iterable[Review], channel: Path) -> None:
    """Write reviews in the official layout, in their order."""
    movies: dict[str, list[str]] = {name: [] for name in SENTIMENTS}
    counts: Counter[str] = Counter()
    for name in SENTIMENTS:
        (channel / name).mkdir(parents=True)
    for review in reviews:
        name = "pos" if review.label else "neg"
        file = channel / name / f"{counts[name]:05}_{10 if review.label else 1}.txt"
        file.write_text(review.text, "utf-8")
        movies[name].append(f"https://www.imdb.com/title/{review.movie}/")
        counts[name] += 1
    for name, lines in movies.items():
        if all("None" not in line for line in lines):
            (channel / f"urls_{name}.txt").write_text("\n".join(lines), "utf-8")
