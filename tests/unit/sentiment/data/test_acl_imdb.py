"""The aclImdb layout as folders and as an archive."""

import io
import tarfile
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data.acl_imdb import read_archive, read_half
from sentiment.data.formats import NO_LABEL

FILES = {
    "train/urls_pos.txt": "http://www.imdb.com/title/tt0000007/usercomments\nhttp://x/title/tt8/\n",
    "train/urls_neg.txt": "http://www.imdb.com/title/tt0000009/usercomments\n",
    "train/pos/0_9.txt": "lovely",
    "train/pos/1_7.txt": "nice",
    "train/neg/0_2.txt": "dull",
    "train/unsup/0_0.txt": "who knows",
    "test/pos/0_10.txt": "not for training",
    "README": "about the data",
}


def write_layout(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def write_archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
    return path


def test_folder_has_texts_labels_and_movies(tmp_path: Path) -> None:
    reviews = read_half(write_layout(tmp_path, FILES) / "train")
    assert [review[1:] for review in reviews] == [
        ("lovely", 1, "tt0000007"),
        ("nice", 1, "tt8"),
        ("dull", 0, "tt0000009"),
    ]


def test_archive_equals_the_folder(tmp_path: Path) -> None:
    folder = list(read_half(write_layout(tmp_path, FILES) / "train"))
    archive = list(read_archive(write_archive(tmp_path / "a.tar.gz", FILES), "train"))
    assert [review[1:] for review in archive] == [review[1:] for review in folder]


def test_urls_may_follow_the_reviews(tmp_path: Path) -> None:
    behind = dict(reversed(list(FILES.items())))
    archive = read_archive(write_archive(tmp_path / "a.tar.gz", behind), "train")
    assert {review.group for review in archive} == {"tt0000007", "tt8", "tt0000009"}


def test_archive_reads_the_requested_half(tmp_path: Path) -> None:
    archive = read_archive(write_archive(tmp_path / "a.tar.gz", FILES), "test")
    assert [review.text for review in archive] == ["not for training"]


def test_movie_is_unknown_without_urls(tmp_path: Path) -> None:
    files = {name: text for name, text in FILES.items() if "urls" not in name}
    found = read_half(write_layout(tmp_path, files) / "train")
    assert {review.group for review in found} == {None}


def test_truncated_archive_is_rejected(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar.gz", {f"train/pos/{i}_9.txt": str(i) * 999 for i in range(99)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tar\.gz: the archive is damaged or truncated"):
        list(read_archive(path, "train"))


def test_other_format_is_rejected(tmp_path: Path) -> None:
    folder = write_layout(tmp_path, FILES | {"train/pos/2_9.html": "<p>"})
    with pytest.raises(DataError, match=r"2_9\.html: unknown format"):
        list(read_half(folder / "train"))


def test_empty_review_is_rejected(tmp_path: Path) -> None:
    folder = write_layout(tmp_path, FILES | {"train/neg/1_2.txt": "\n"})
    with pytest.raises(DataError, match=r"1_2\.txt: the text is empty"):
        list(read_half(folder / "train"))


def test_invalid_utf8_is_rejected_with_offset(tmp_path: Path) -> None:
    folder = write_layout(tmp_path, FILES)
    (folder / "train/pos/0_9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"0_9\.txt: not UTF-8 at byte offset 3"):
        list(read_half(folder / "train"))


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_unlabeled_reviews_have_movies(tmp_path: Path, kind: str) -> None:
    files = FILES | {"train/urls_unsup.txt": "http://www.imdb.com/title/tt0000005/usercomments\n"}
    if kind == "folder":
        found = list(read_half(write_layout(tmp_path, files) / "train", ("unsup",)))
    else:
        found = list(read_archive(write_archive(tmp_path / "a.tar.gz", files), "train", ("unsup",)))
    assert [review[1:] for review in found] == [("who knows", NO_LABEL, "tt0000005")]
