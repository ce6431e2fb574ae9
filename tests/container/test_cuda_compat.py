"""CUDA's forward-compatibility libraries, with fake driver files."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "container"))

import cuda_compat

PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Thu Jun  3 12:00:00\nGCC version: gcc 12.2.0\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (root@host)  Mon Jan 1\n"


@pytest.fixture
def compat(tmp_path: Path) -> Path:
    """The libraries of CUDA 12.6, as nvidia/cuda images have them."""
    folder = tmp_path / "compat"
    folder.mkdir()
    (folder / "libcuda.so.560.35.05").touch()
    (folder / "libcuda.so.1").symlink_to("libcuda.so.560.35.05")
    return folder


def library_path(compat: Path, driver: str | None, tmp_path: Path, **environment: str) -> str | None:
    file = tmp_path / "version"
    if driver is not None:
        file.write_text(driver)
    return cuda_compat.add_to(environment, compat, file).get("LD_LIBRARY_PATH")


@pytest.mark.parametrize("text", [PROPRIETARY, OPEN])
@pytest.mark.parametrize("version", ["470.256.02", "535.183.01", "560.35.03", "560.35"])
def test_older_driver_gets_the_libraries(compat: Path, tmp_path: Path, text: str, version: str) -> None:
    assert library_path(compat, text.format(version), tmp_path) == str(compat)


@pytest.mark.parametrize("text", [PROPRIETARY, OPEN])
@pytest.mark.parametrize("version", ["560.35.05", "560.40.01", "570.86.15", "580.65.06"])
def test_newer_driver_keeps_its_own_libraries(compat: Path, tmp_path: Path, text: str, version: str) -> None:
    assert library_path(compat, text.format(version), tmp_path) is None


def test_libraries_come_first_on_the_path(compat: Path, tmp_path: Path) -> None:
    driver = PROPRIETARY.format("470.256.02")
    path = library_path(compat, driver, tmp_path, LD_LIBRARY_PATH="/usr/local/lib")
    assert path == f"{compat}:/usr/local/lib"


def test_use_of_libraries_is_logged(compat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library_path(compat, PROPRIETARY.format("470.256.02"), tmp_path)
    assert "driver 470.256.02 is older" in capsys.readouterr().err


def test_nvidia_smi_replaces_a_hidden_file(
    compat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 470.256.02\necho 470.256.02\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert library_path(compat, None, tmp_path) == str(compat)


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho no devices were path\n"])
def test_broken_nvidia_smi_is_ignored(
    compat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "nvidia-smi").write_text(program)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert library_path(compat, None, tmp_path) is None


def test_no_driver_leaves_environment_unchanged(
    compat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cuda_compat.add_to({"A": "b"}, compat, tmp_path / "version") == {"A": "b"}
    assert capsys.readouterr().err == ""


def test_no_libraries_leave_environment_unchanged(tmp_path: Path) -> None:
    assert library_path(tmp_path / "none", PROPRIETARY.format("470.256.02"), tmp_path) is None
