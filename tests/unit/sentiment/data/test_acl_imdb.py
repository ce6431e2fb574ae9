"""The aclImdb layout as folders and as an archive."""

import io
import tarfile
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data.channels import Review, read_channel
from sentiment.data.columns import NO_LABEL

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
TRAIN = {("lovely", 1, "tt0000007"), ("nice", 1, "tt8"), ("dull", 0, "tt0000009")}


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


def reviews(folder: Path, channel: str = "training") -> set[tuple[str, int, str | None]]:
    found: list[Review] = list(read_channel(channel, folder))
    return {(review.text, review.label, review.group) for review in found}


def test_review_may_begin_with_readme(tmp_path: Path) -> None:
    names = ("license_to_kill.txt", "readme_if_you_can.txt", "urls_of_fire.txt")
    write_layout(tmp_path, {f"pos/{name}": name for name in names} | {"pos/README.md": "about"})
    assert {text for text, _, _ in reviews(tmp_path)} == set(names)


def test_folder_has_texts_labels_and_movies(tmp_path: Path) -> None:
    assert reviews(write_layout(tmp_path, FILES)) == TRAIN


def test_archive_equals_the_folder(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar.gz", FILES)
    assert reviews(tmp_path) == TRAIN


def test_urls_may_follow_the_reviews(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar.gz", dict(reversed(list(FILES.items()))))
    assert reviews(tmp_path) == TRAIN


def test_archive_reads_the_requested_half(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar.gz", FILES)
    assert reviews(tmp_path, "test") == {("not for training", 1, None)}


def test_movie_is_unknown_without_urls(tmp_path: Path) -> None:
    write_layout(tmp_path, {name: text for name, text in FILES.items() if "urls" not in name})
    assert {group for _, _, group in reviews(tmp_path)} == {None}


def test_truncated_archive_is_rejected(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar.gz", {f"train/pos/{i}_9.txt": str(i) * 999 for i in range(99)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tar\.gz: the file is damaged or truncated"):
        reviews(tmp_path)


def test_other_format_is_rejected(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES | {"train/pos/2_9.html": "<p>"})
    with pytest.raises(DataError, match=r"2_9\.html: unknown format"):
        reviews(tmp_path)


def test_empty_review_is_rejected(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES | {"train/neg/1_2.txt": "\n"})
    with pytest.raises(DataError, match=r"1_2\.txt: the text is empty"):
        reviews(tmp_path)


def test_invalid_utf8_is_rejected_with_offset(tmp_path: Path) -> None:
    write_layout(tmp_path, FILES)
    (tmp_path / "train/pos/0_9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"0_9\.txt: not UTF-8 at byte offset 3"):
        reviews(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_unlabeled_reviews_have_movies(tmp_path: Path, kind: str) -> None:
    files = FILES | {"train/urls_unsup.txt": "http://www.imdb.com/title/tt0000005/usercomments\n"}
    if kind == "folder":
        write_layout(tmp_path, files)
    else:
        write_archive(tmp_path / "a.tar.gz", files)
    assert reviews(tmp_path, "unlabeled") == {("who knows", NO_LABEL, "tt0000005")}
