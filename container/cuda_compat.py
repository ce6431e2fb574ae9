"""CUDA's forward-compatibility libraries: on the library path only if the host's driver is older.

Endpoints on p3, g4dn, g5 and p4d have driver 470, made for CUDA 11.4, unless their configuration sets another
(https://docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html). With the libraries of the
nvidia/cuda images it runs CUDA 12.6. Since version 1.17.4 NVIDIA's container toolkit does not mount them
itself (https://docs.aws.amazon.com/sagemaker/latest/dg/container-nvidia-compliance.html). On a newer driver
they would replace its library with an older one.
"""

import contextlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMPAT = Path("/usr/local/cuda/compat")
DRIVER = Path("/proc/driver/nvidia/version")

Version = tuple[int, ...]


def add_to(environment: Mapping[str, str], compat: Path = COMPAT, driver: Path = DRIVER) -> dict[str, str]:
    """The environment, with the compatibility libraries first on the library path if the driver is older."""
    environment = dict(environment)
    libraries = library_version(compat)
    if libraries is None:
        return environment
    host = driver_version(driver)
    if host is not None and host < libraries:
        rest = environment.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = f"{compat}:{rest}" if rest else str(compat)
        driver_name = ".".join(f"{number:02}" for number in host)
        print(f"using CUDA's compatibility libraries: NVIDIA driver {driver_name} is older", file=sys.stderr)
    return environment


def library_version(compat: Path) -> Version | None:
    """The libraries' driver version: libcuda.so.1 links to, for example, libcuda.so.560.35.05."""
    return _version((compat / "libcuda.so.1").resolve().name)


def driver_version(driver: Path) -> Version | None:
    """The version of the host's driver; None without one."""
    with contextlib.suppress(OSError):
        return _version(driver.read_text("utf-8"))
    # Some container runtimes hide the file.
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return _version(subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout)
    return None


def _version(text: str) -> Version | None:
    """The first driver version in a text: three digits before the first point."""
    match = re.search(r"(?<!\d)\d{3}(?:\.\d+){1,2}(?![\d.])", text)
    return tuple(map(int, match[0].split("."))) if match else None
