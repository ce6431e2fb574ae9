"""Folders of reviews, one per file: ``pos/`` and ``neg/``, and the official aclImdb layout.

In the official layout, ``train/`` and ``test/`` each hold ``pos/`` and ``neg/``, whose files are named
ID_RATING.txt, and ``urls_pos.txt`` and ``urls_neg.txt``, whose line N (from 0) is the URL of the movie of
review N. ``train/`` also holds ``unsup/`` and ``urls_unsup.txt``.
https://ai.stanford.edu/~amaas/data/sentiment/
"""

import re
from pathlib import PurePosixPath

from sentiment.data.columns import NO_LABEL

SENTIMENTS = ("pos", "neg")
UNSUP_DIR = "unsup"
LABEL_DIRS = {"pos": 1, "positive": 1, "neg": 0, "negative": 0}
REVIEW_DIRS = {**LABEL_DIRS, UNSUP_DIR: NO_LABEL}
HALVES = ("train", "test")

_REVIEW_ID = re.compile(r"(\d+)_\d+\.txt")
_MOVIE_ID = re.compile(r"tt\d+")
_URLS = re.compile(r"urls_(pos|neg|unsup)\.txt")


def is_extra(name: str) -> bool:
    """Whether a file of this name belongs to the official layout without being a review."""
    return (
        name in {"imdb.vocab", "imdbEr.txt"}
        or PurePosixPath(name.lower()).stem in {"readme", "license"}
        or _URLS.fullmatch(name) is not None
        or name.endswith("Bow.feat")
    )


def review_dir(path: PurePosixPath) -> PurePosixPath | None:
    """The folder that gives a review its label, or None for other files."""
    return next((folder for folder in path.parents if folder.name.lower() in REVIEW_DIRS), None)


def half(folder: PurePosixPath) -> str | None:
    """The half of the official layout, "train" or "test", to which a folder of reviews belongs."""
    is_official = folder.parent.name in HALVES and folder.name in (*SENTIMENTS, UNSUP_DIR)
    return folder.parent.name if is_official else None


def reviews_of_urls(path: PurePosixPath) -> PurePosixPath | None:
    """The folder whose movies a file ``urls_*.txt`` lists."""
    match = _URLS.fullmatch(path.name)
    return path.parent / match[1] if match else None


def parse_urls(text: str) -> list[str]:
    """Movie id of each line of a urls file."""
    return [match[0] if (match := _MOVIE_ID.search(line)) else line for line in text.split()]


def find_movie(path: PurePosixPath, movies: list[str]) -> str | None:
    """The movie of a review, None if unknown."""
    match = _REVIEW_ID.fullmatch(path.name)
    number = int(match[1]) if match else len(movies)
    return movies[number] if number < len(movies) else None
