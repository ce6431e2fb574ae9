"""Small channels of reviews for tests."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sentiment.data.channels import ChannelReader, Review
from sentiment.hyperparameters import Hyperparameters

Content = str | bytes


def write_files(folder: Path, files: Mapping[str, Content]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(_encode(content))
    return folder


def make_zip(files: Mapping[str, Content]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, _encode(content))
    return stream.getvalue()


def make_tar(files: Mapping[str, Content], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(_encode(content))
            archive.addfile(member, io.BytesIO(_encode(content)))
    return stream.getvalue()


def read_splits(
    folder: Path, channel: str = "training", **hyperparameters: object
) -> dict[str, list[Review]]:
    reader = ChannelReader(channel, folder, Hyperparameters(**hyperparameters))  # type: ignore[arg-type]
    return {split: list(reader.read(split)) for split in reader.splits}


def read(folder: Path, channel: str = "training", **hyperparameters: object) -> list[tuple[str, int]]:
    """Text and label of each review of the channel's own split."""
    reader = ChannelReader(channel, folder, Hyperparameters(**hyperparameters))  # type: ignore[arg-type]
    return [(review.text, review.label) for review in reader.read(reader.split)]


def _encode(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content
