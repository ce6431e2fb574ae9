"""Removal of files from site-packages by patterns."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "container"))

from strip import strip


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A site-packages folder with tests in it."""
    (tmp_path / "a" / "b" / "tests" / "tests").mkdir(parents=True)
    (tmp_path / "a" / "b" / "tests" / "test_it.py").touch()
    (tmp_path / "a" / "b" / "it.py").touch()
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_folders_are_removed_recursively(packages: Path) -> None:
    strip(["**/tests"], packages)
    assert names(packages) == ["a", "a/b", "a/b/it.py"]


def test_files_are_removed(packages: Path) -> None:
    strip(["a/b/it*"], packages)
    assert "a/b/it.py" not in names(packages)


def test_pattern_without_match_is_an_error(packages: Path) -> None:
    with pytest.raises(ValueError, match="nope/\\* matches nothing"):
        strip(["nope/*"], packages)
