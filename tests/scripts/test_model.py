"""The option --model of the scripts: local_test/model.sh."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HASH = "--hash=sha256:0"


def use_model(folder: Path) -> subprocess.CompletedProcess[str]:
    """Select a package; prints its name and the variables of the programs."""
    script = 'set -euo pipefail; source local_test/environment.sh; use_model "$0"; '
    show = 'printf "%s\\n" "$model_name" "${model_environment[@]}"'
    return subprocess.run(
        ["bash", "-c", script + show, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder that is a package."""
    folder = tmp_path / "my_model"
    folder.mkdir()
    (folder / "__init__.py").touch()
    return folder


def refused(folder: Path) -> str:
    """The error of a refused package: one line."""
    result = use_model(folder)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line.removeprefix("error: ").replace(str(folder), "FOLDER")


def test_package_becomes_importable(package: Path) -> None:
    expected = ["my_model", f"PYTHONPATH={ROOT}/code:{package.parent}", "MODEL_PACKAGE=my_model"]
    assert use_model(package).stdout.splitlines() == expected


def test_packages_of_the_repository_are_accepted() -> None:
    for folder in ("code/sentiment", "examples/tfidf"):
        assert use_model(ROOT / folder).returncode == 0


def test_folder_without_init_is_refused(package: Path) -> None:
    (package / "__init__.py").unlink()
    assert refused(package).startswith("--model: FOLDER is not a package; expected __init__.py")


def test_name_must_be_an_identifier(package: Path) -> None:
    assert refused(package.rename(package.with_name("my-model"))).startswith(
        "--model: FOLDER is not a package"
    )


@pytest.mark.parametrize("name", ["byoc", "sentiment", "train"])
def test_name_of_a_container_module_is_refused(package: Path, name: str) -> None:
    assert refused(package.rename(package.with_name(name))).startswith("--model: rename FOLDER")


@pytest.mark.parametrize(
    "content",
    [
        f"snowballstemmer==3.0.1 \\\n    {HASH}\n    # via -r requirements.in\n",
        f"numpy==2.4.6 ; python_version < '3.12' {HASH}\nnumpy==2.5.5 ; python_version > '3.11' {HASH}\n",
        f"# none\n--index-url https://example.com\n\nScikit_Learn==1.9.1 {HASH}\n",
    ],
)
def test_locked_requirements_are_accepted(package: Path, content: str) -> None:
    (package / "requirements.txt").write_text(content)
    assert use_model(package).stderr == ""


@pytest.mark.parametrize(
    ("pin", "conflict"),
    [
        ("numpy==1.0", "numpy 1.0 conflicts with the container's version 2.4.6 2.5.5"),
        ("Scikit_Learn[all]==1.0", "Scikit_Learn 1.0 conflicts with the container's version 1.9.1"),
        ("torch==1.0", "torch 1.0 conflicts with the container's version 2.13.0"),
    ],
)
def test_conflict_names_package_and_versions(package: Path, pin: str, conflict: str) -> None:
    (package / "requirements.txt").write_text(f"{pin} \\\n    {HASH}\n")
    assert refused(package) == f"FOLDER/requirements.txt: {conflict}"


@pytest.mark.parametrize("pin", ["some==1.0", f"some>=1.0 {HASH}", "some"])
def test_requirement_needs_version_and_hash(package: Path, pin: str) -> None:
    (package / "requirements.txt").write_text(f"{pin}\n")
    assert refused(package).startswith("FOLDER/requirements.txt: some")
    assert refused(package).endswith(
        "lacks its version or hashes; make the file with uv pip compile --generate-hashes"
    )
