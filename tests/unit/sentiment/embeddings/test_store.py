"""Pretrained word embeddings."""

import errno
import io
import tarfile
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from byoc.artifact import write_artifact
from byoc.errors import ArtifactError, DataError
from sentiment.embeddings.store import VECTORS_FILE, WordVectors, load
from sentiment.model.artifact import VOCABULARY_FILE, Artifact, write_files
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["good", "not", "film"], ["not good"])
VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)
WORD_VECTORS = WordVectors(VOCABULARY, VECTORS)


def archive(folder: Path, target: Path, prefix: str = "") -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz") as content:
        for path in sorted(folder.iterdir()):
            content.add(path, prefix + path.name)


def is_same(found: WordVectors) -> bool:
    return found.vocabulary.words == VOCABULARY.words and np.array_equal(found.vectors, VECTORS)


def test_saved_embeddings_load_unchanged(tmp_path: Path) -> None:
    WORD_VECTORS.save(tmp_path)
    assert is_same(load(tmp_path, 2))


@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive_is_loaded(tmp_path: Path, prefix: str) -> None:
    WORD_VECTORS.save(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz", prefix)
    assert is_same(load(tmp_path / "channel", 2))


def test_embeddings_of_trained_model_are_loaded(tmp_path: Path) -> None:
    network = NetworkSettings(6, 2, 3, "mean")
    weights = {name: np.zeros(shape, np.float32) for name, shape in network.tensor_shapes().items()}
    weights["embedding.weight"] = VECTORS
    artifact = Artifact(weights, VOCABULARY, network, TextSettings([], 5, "tail"), {})
    write_artifact(tmp_path / "model", "sentiment", partial(write_files, artifact))
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz")
    assert is_same(load(tmp_path / "channel", 2))


def test_other_archive_members_are_not_extracted(tmp_path: Path) -> None:
    WORD_VECTORS.save(tmp_path / "model")
    path = tmp_path / "channel" / "model.tar.gz"
    archive(tmp_path / "model", path)
    with tarfile.open(path, "w:gz") as content:
        for name in ("../escaped", VECTORS_FILE + "/../../escaped", str(tmp_path / "escaped")):
            member = tarfile.TarInfo(name)
            member.size = 1
            content.addfile(member, io.BytesIO(b"x"))
        for file in sorted((tmp_path / "model").iterdir()):
            content.add(file, file.name)
    assert is_same(load(tmp_path / "channel", 2))
    assert not list(tmp_path.rglob("escaped"))


def test_archive_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    with tarfile.open(tmp_path / "channel" / "model.tar.gz", "w:gz") as content:
        member = tarfile.TarInfo(VECTORS_FILE)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(member)
    with pytest.raises(ArtifactError, match=r"model\.tar\.gz has neither"):
        load(tmp_path / "channel", 2)


def test_empty_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has neither vectors\.safetensors nor"):
        load(tmp_path, 2)


def test_truncated_archive_is_rejected(tmp_path: Path) -> None:
    WORD_VECTORS.save(tmp_path / "model")
    path = tmp_path / "channel" / "model.tar.gz"
    archive(tmp_path / "model", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        load(tmp_path / "channel", 2)


def test_damaged_file_is_rejected(tmp_path: Path) -> None:
    WORD_VECTORS.save(tmp_path)
    (tmp_path / VECTORS_FILE).write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match=r"vectors\.safetensors is damaged"):
        load(tmp_path, 2)


def test_nonfinite_embeddings_are_rejected(tmp_path: Path) -> None:
    WordVectors(VOCABULARY, VECTORS * np.float32("nan")).save(tmp_path)
    with pytest.raises(ArtifactError, match="values that are not finite"):
        load(tmp_path, 2)


def test_files_of_two_jobs_are_rejected(tmp_path: Path) -> None:
    WordVectors(VOCABULARY, VECTORS[:-1]).save(tmp_path)
    with pytest.raises(ArtifactError, match="are from different jobs"):
        load(tmp_path, 2)


def test_other_jobs_vocabulary_is_rejected(tmp_path: Path) -> None:
    WORD_VECTORS.save(tmp_path)
    Vocabulary(["not", "good", "film"], ["not good"]).save(tmp_path / VOCABULARY_FILE)
    with pytest.raises(ArtifactError, match="are from different jobs"):
        load(tmp_path, 2)


def test_full_disk_raises_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WORD_VECTORS.save(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz")
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", Mock(side_effect=full))
    with pytest.raises(OSError, match="No space left"):
        load(tmp_path / "channel", 2)


def test_other_dimension_is_rejected(tmp_path: Path) -> None:
    WORD_VECTORS.save(tmp_path)
    with pytest.raises(DataError, match="have 2 dimensions, expected 128\nset embedding_dim=2"):
        load(tmp_path, 128)


def test_align_looks_up_words_and_ngrams() -> None:
    other = Vocabulary(["film", "new", "good", "not"], ["not good", "good film", "new film"])
    assert WORD_VECTORS.align(other).tolist() == [
        [0, 0],  # padding
        [2, 3],  # unknown token
        [8, 9],  # film
        [0, 0],  # new word
        [4, 5],  # good
        [6, 7],  # not
        [10, 11],  # not good
        [6, 7],  # good film: the mean of good and film
        [4, 4.5],  # new film
    ]


def test_fingerprint_depends_on_vectors_and_words() -> None:
    others = (WordVectors(VOCABULARY, VECTORS + 1), WordVectors(Vocabulary(["bad", "not", "film"]), VECTORS))
    assert len({WORD_VECTORS.fingerprint(), *(other.fingerprint() for other in others)}) == 3
