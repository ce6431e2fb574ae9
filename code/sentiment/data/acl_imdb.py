"""The official aclImdb layout, as folders or as the archive that Stanford publishes.

``train/`` and ``test/`` each hold ``pos/`` and ``neg/`` with one review per file, named ID_RATING.txt, and
``urls_pos.txt`` and ``urls_neg.txt``, whose line N (from 0) is the URL of the movie of review N. ``train/``
also holds ``unsup/`` and ``urls_unsup.txt``. https://ai.stanford.edu/~amaas/data/sentiment/
"""

import gzip
import re
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from byoc.errors import DataError
from sentiment.data.formats import LABELS, NO_LABEL, decode

SENTIMENTS = ("pos", "neg")
UNSUP_DIR = "unsup"
FOLDERS = (*SENTIMENTS, UNSUP_DIR)
HALVES = ("train", "test")

_REVIEW_ID = re.compile(r"(\d+)_\d+\.txt")
_MOVIE_ID = re.compile(r"tt\d+")
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")


class ReviewFile(NamedTuple):
    """A file with one review."""

    name: str
    text: str
    label: int  # 1 for positive, 0 for negative, ``NO_LABEL`` in ``unsup/``
    group: str | None  # id of the movie, None if unknown


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.endswith(_ARCHIVE_SUFFIXES)


def is_extra(name: str) -> bool:
    """Whether a file of this name belongs to the official layout without being a review."""
    return (
        name in {"README", "imdb.vocab", "imdbEr.txt"}
        or name.startswith("urls_")
        or name.endswith("Bow.feat")
    )


def _parse_urls(text: str) -> list[str]:
    """Movie id of each line of a urls file."""
    return [match[0] if (match := _MOVIE_ID.search(line)) else line for line in text.split()]


def _read_review(path: PurePosixPath, content: bytes, movies: list[str], name: str) -> ReviewFile:
    if path.suffix != ".txt":
        raise DataError(f"{name}: unknown format, expected .txt files in {path.parent.name}/")
    text = decode(content, name)
    if not text.strip():
        raise DataError(f"{name}: the text is empty, expected a review")
    match = _REVIEW_ID.fullmatch(path.name)
    number = int(match[1]) if match else len(movies)
    group = movies[number] if number < len(movies) else None
    return ReviewFile(name, text, LABELS.get(path.parent.name, NO_LABEL), group)


def read_half(folder: Path, folders: Collection[str] = SENTIMENTS) -> Iterator[ReviewFile]:
    """Read the reviews of some folders of ``train/`` or ``test/``; missing folders are empty.

    Raises:
        DataError: a file is no review; names it.
    """
    for name in folders:
        urls = folder / f"urls_{name}.txt"
        movies = _parse_urls(decode(urls.read_bytes(), urls)) if urls.is_file() else []
        reviews = folder / name
        for path in sorted(reviews.iterdir()) if reviews.is_dir() else []:
            if not path.name.startswith((".", "_")):
                yield _read_review(PurePosixPath(path), path.read_bytes(), movies, str(path))


def _iterate_members(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Read the files of an archive in its order, without writing to disk."""
    try:
        # gzip.open, because tarfile's "r|gz" takes a truncated file for the end of the archive.
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield PurePosixPath(member.name), content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{archive}: the archive is damaged or truncated ({error}); upload it again"
        ) from error


def _read_archive_urls(archive: Path, half: str, folders: Collection[str]) -> dict[str, list[str]]:
    """Movie ids by folder; stops reading once it has them all."""
    movies: dict[str, list[str]] = {}
    names = {f"urls_{name}.txt": name for name in folders}
    for path, content in _iterate_members(archive):
        if path.parent.name == half and path.name in names:
            movies[names[path.name]] = _parse_urls(decode(content, f"{archive}:{path}"))
            if len(movies) == len(names):
                break
    return movies


def read_archive(archive: Path, half: str, folders: Collection[str] = SENTIMENTS) -> Iterator[ReviewFile]:
    """Read the reviews of some folders of one half of the archive, "train" or "test".

    Raises:
        DataError: the archive is damaged, or a file in it is no review.
    """
    movies = _read_archive_urls(archive, half, folders)
    for path, content in _iterate_members(archive):
        if len(path.parts) >= 3 and path.parts[-3] == half and path.parts[-2] in folders:
            yield _read_review(path, content, movies.get(path.parts[-2], []), f"{archive}:{path}")
