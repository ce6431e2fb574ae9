"""Archives, compressed files and files to skip."""

import bz2
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from byoc.errors import DataError
from sentiment.data import archives
from sentiment.data.archives import walk
from sentiment.data.channels import read_channel
from tests.support.review_files import make_tar, make_zip, read, write_files

CSV = "text,label\nfine,1\ndull,0\n"
EXPECTED = [("fine", 1), ("dull", 0)]
JUNK: dict[str, str | bytes] = {
    "._r.csv": b"\xff",
    "__MACOSX/._r.csv": b"\xff",
    ".DS_Store": b"\xff",
    "Thumbs.db": b"\xff",
}
FOLDERS = {"pos/a.txt": "fine", "neg/b.txt": "dull"}


def name_of(value: object) -> str:
    """The id of a parameter: compressed content differs from run to run."""
    return value if isinstance(value, str) else "bytes"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv.gz", gzip.compress(CSV.encode())),
        ("r.csv.bz2", bz2.compress(CSV.encode())),
        ("r.zip", make_zip({"data/r.csv": CSV})),
        ("r.tar", make_tar({"r.csv": CSV}, "w")),
        ("r.tar.gz", make_tar({"r.csv": CSV})),
        ("r.tgz", make_tar({"./r.csv": CSV})),
        ("r.tar.bz2", make_tar({"r.csv": CSV}, "w:bz2")),
        ("zip in zip.zip", make_zip({"r.zip": make_zip({"r.csv": CSV})})),
        ("gz in zip.zip", make_zip({"r.csv.gz": gzip.compress(CSV.encode())})),
        ("zip in tar.tar.gz", make_tar({"r.zip": make_zip({"r.csv": CSV})})),
        ("windows.zip", make_zip({"data\\r.csv": CSV})),
        ("UPPER.ZIP", make_zip({"R.CSV": CSV})),
    ],
    ids=name_of,
)
def test_archive_equals_its_file(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(write_files(tmp_path, {name: content})) == EXPECTED


@pytest.mark.parametrize("pack", [make_zip, make_tar])
def test_archive_may_hold_label_folders(tmp_path: Path, pack: object) -> None:
    name = "r.zip" if pack is make_zip else "r.tar.gz"
    content = pack({f"data/{path}": text for path, text in FOLDERS.items()})  # type: ignore[operator]
    assert sorted(read(write_files(tmp_path, {name: content}))) == sorted(EXPECTED)


def test_junk_is_skipped_in_folders(tmp_path: Path) -> None:
    files = JUNK | {"r.csv": CSV, "empty.csv": "", "desktop.ini": b"\xff"}
    assert read(write_files(tmp_path, files)) == EXPECTED


@pytest.mark.parametrize("name", ["r.zip", "r.tar.gz"])
def test_junk_is_skipped_in_archives(tmp_path: Path, name: str) -> None:
    files = JUNK | {"r.csv": CSV, "empty.csv": "", "desktop.ini": b"\xff"}
    content = make_zip(files) if name == "r.zip" else make_tar(files)
    assert read(write_files(tmp_path, {name: content})) == EXPECTED


def test_root_may_be_one_file(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.csv": CSV, "other.csv": "1,other\n"})
    assert read(tmp_path / "r.csv") == EXPECTED


@pytest.mark.parametrize("path", ["../r.csv", "/tmp/r.csv", "a/../../r.csv", "..\\r.csv", "C:\\r.csv"])  # noqa: S108 (nothing is written)
@pytest.mark.parametrize("name", ["r.zip", "r.tar.gz"])
def test_path_outside_archive_is_rejected(tmp_path: Path, name: str, path: str) -> None:
    content = make_zip({path: CSV}) if name == "r.zip" else make_tar({path: CSV})
    with pytest.raises(DataError, match="is outside the archive"):
        read(write_files(tmp_path, {name: content}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv.gz", gzip.compress(b"1,a\n" * 9_999)),
        ("r.csv.bz2", bz2.compress(b"1,a\n" * 9_999)),
        ("r.zip", make_zip({"r.csv": b"1,a\n" * 9_999})),
        ("r.tar.gz", make_tar({"r.csv": b"1,a\n" * 9_999})),
        ("r.zip", make_zip({"a.csv": b"1,a\n" * 6_000, "b.csv": b"1,b\n" * 6_000})),
    ],
    ids=name_of,
)
def test_bomb_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes) -> None:
    monkeypatch.setattr(archives, "MAX_EXPANDED", 30_000)
    with pytest.raises(DataError, match=r"expands to .* over 20 times its size"):
        read(write_files(tmp_path, {name: content}))


def test_compressed_file_may_expand_twentyfold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_EXPANDED", 10)
    assert read(write_files(tmp_path, {"r.csv.gz": gzip.compress(CSV.encode())})) == EXPECTED


@pytest.mark.parametrize("name", ["r.csv.gz", "r.csv.bz2", "r.zip", "r.tar.gz", "r.tar"])
@pytest.mark.parametrize("kind", ["truncated", "garbage"])
def test_damaged_file_is_rejected_by_name(tmp_path: Path, name: str, kind: str) -> None:
    rows = b"text,label\n" + b"".join(b"review %d,1\n" % i for i in range(5_000))
    whole = {
        "r.csv.gz": gzip.compress(rows),
        "r.csv.bz2": bz2.compress(rows),
        "r.zip": make_zip({"r.csv": rows}),
        "r.tar.gz": make_tar({"r.csv": rows}),
        "r.tar": make_tar({"r.csv": rows}, "w"),
    }[name]
    content = whole[: len(whole) // 2] if kind == "truncated" else b"no archive at all" * 99
    with pytest.raises(DataError, match=rf"{name}.* damaged or truncated"):
        read(write_files(tmp_path, {name: content}))


def test_encrypted_zip_is_rejected(tmp_path: Path) -> None:
    content = bytearray(make_zip({"r.csv": CSV}))
    content[6] |= 1  # the flag in the local header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match=r"r\.zip:r\.csv: .*encrypted"):
        read(write_files(tmp_path, {"r.zip": bytes(content)}))


def test_links_in_archives_are_skipped(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        link = tarfile.TarInfo("link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    write_files(tmp_path, {"r.tar.gz": stream.getvalue(), "r.csv": CSV})
    assert read(tmp_path) == EXPECTED


def test_message_names_archive_and_member(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.zip": make_zip({"data/r.csv": "text,label\n ,1\n"})})
    with pytest.raises(DataError, match=r"r\.zip:data/r\.csv, line 2: the text is empty"):
        read(tmp_path)


def test_zip_members_need_no_order(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.zip": make_zip({"b.csv": "1,b\n", "a.csv": "1,a\n"})})
    assert [file.path.name for file in walk(tmp_path)] == ["b.csv", "a.csv"]
    assert zipfile.is_zipfile(tmp_path / "r.zip")


def test_name_that_is_not_utf_8_is_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"r\xe9.csv")).write_text("1,fine\n")
    (review,) = read_channel("training", tmp_path)
    assert review.source.file == f"{tmp_path}/r\\udce9.csv"


def test_archive_member_called_dot_is_skipped(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.zip": make_zip({".": "", "r.csv": "1,fine\n"})})
    assert read(tmp_path) == [("fine", 1)]
