"""The official aclImdb layout, as folders or as the archive that Stanford publishes.

``train/`` and ``test/`` each hold ``pos/`` and ``neg/`` with one review a file, named ID_RATING.txt, and
``urls_pos.txt``, ``urls_neg.txt`` whose line N (from 0) is the address of the movie that review N is
about; ``train/`` also ``unsup/`` and ``urls_unsup.txt``. https://ai.stanford.edu/~amaas/data/sentiment/
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
UNLABELLED = "unsup"
FOLDERS = (*SENTIMENTS, UNLABELLED)
HALVES = ("train", "test")

_REVIEW_ID = re.compile(r"(\d+)_\d+\.txt")
_MOVIE_ID = re.compile(r"tt\d+")
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")


class ReviewFile(NamedTuple):
    """One review that is a file of its own.

    Attributes:
        name: of the file.
        text: its content.
        label: 1 for positive, 0 for negative, ``NO_LABEL`` in ``unsup/``.
        movie: what the review is about, None where the layout does not tell it.
    """

    name: str
    text: str
    label: int
    movie: str | None


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


def _movies(text: str) -> list[str]:
    """The movie of each review, from the text of a urls file."""
    lines = text.split()
    return [match[0] if (match := _MOVIE_ID.search(line)) else line for line in lines]


def _movie_of(name: str, movies: list[str]) -> str | None:
    match = _REVIEW_ID.fullmatch(name)
    number = int(match[1]) if match else len(movies)
    return movies[number] if number < len(movies) else None


def _review(path: PurePosixPath, content: bytes, movies: list[str], where: str) -> ReviewFile:
    if path.suffix != ".txt":
        raise DataError(f"{where}: unknown format, expected .txt files in {path.parent.name}/")
    text = decode(content, where)
    if not text.strip():
        raise DataError(f"{where}: the text is empty, expected a review")
    label = LABELS.get(path.parent.name, NO_LABEL)
    return ReviewFile(where, text, label, _movie_of(path.name, movies))


def read_half(folder: Path, wanted: Collection[str] = SENTIMENTS) -> Iterator[ReviewFile]:
    """The reviews of the wanted ones of a half's folders, those that there are.

    Raises:
        DataError: naming the file that is no review.
    """
    for name in wanted:
        urls = folder / f"urls_{name}.txt"
        movies = _movies(decode(urls.read_bytes(), urls)) if urls.is_file() else []
        reviews = folder / name
        for path in sorted(reviews.iterdir()) if reviews.is_dir() else []:
            if not path.name.startswith((".", "_")):
                yield _review(PurePosixPath(path), path.read_bytes(), movies, str(path))


def _members(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of an archive, in its order; nothing is written to disk.

    Raises:
        DataError: the archive is damaged or cut off.
    """
    try:
        # gzip.open and not tarfile's own "r|gz", which takes a cut off file for the end of the archive.
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield PurePosixPath(member.name), content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive}: the archive is damaged or cut off ({error}); upload it again") from error


def _archive_movies(archive: Path, half: str, wanted: Collection[str]) -> dict[str, list[str]]:
    """The movies by folder; reads no further than it must."""
    found: dict[str, list[str]] = {}
    folders = {f"urls_{name}.txt": name for name in wanted}
    for path, content in _members(archive):
        if path.parent.name == half and path.name in folders:
            found[folders[path.name]] = _movies(decode(content, f"{archive}:{path}"))
            if len(found) == len(folders):
                break
    return found


def read_archive(archive: Path, half: str, wanted: Collection[str] = SENTIMENTS) -> Iterator[ReviewFile]:
    """The reviews of the wanted folders of one half of the official archive, "train" or "test".

    Raises:
        DataError: the archive is damaged, or a file in it is no review.
    """
    movies = _archive_movies(archive, half, wanted)
    for path, content in _members(archive):
        if len(path.parts) >= 3 and path.parts[-3] == half and path.parts[-2] in wanted:
            yield _review(path, content, movies.get(path.parts[-2], []), f"{archive}:{path}")
