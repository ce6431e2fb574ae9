"""A clone on Windows, where Git may convert line ends."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    name for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines() if name
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree with core.autocrlf=true."""
    source, clone = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "init", "--quiet", source], check=True)
    archive = subprocess.run(["tar", "--create", *NAMES], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "--extract"], cwd=source, input=archive, check=True)
    subprocess.run(["git", "add", "--all", "--force"], cwd=source, check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "all"], cwd=source, check=True)
    subprocess.run(["git", "-c", "core.autocrlf=true", "clone", "--quiet", source, clone], check=True)
    return clone


def test_autocrlf_changes_no_file(clone: Path) -> None:
    assert [name for name in NAMES if (clone / name).read_bytes() != (ROOT / name).read_bytes()] == []


def test_autocrlf_leaves_scripts_executable(clone: Path) -> None:
    script: list[str | Path] = [clone / "local_test" / "train_local.sh", "--data", "/nowhere"]
    result = subprocess.run(script, capture_output=True, text=True, check=False)
    assert result.stderr.startswith("error: --data: /nowhere does not exist")
