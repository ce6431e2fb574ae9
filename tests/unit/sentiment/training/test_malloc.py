"""Settings of malloc."""

import subprocess
import sys
from pathlib import Path

from tests.support.programs import environment

PROGRAM = """
import resource
import torch
from sentiment.training.malloc import keep_freed_memory

def pages_of_a_tensor():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
# glibc 2.36 searches for a block of this size plus its alignment, and finds one after a few rounds.
print([pages_of_a_tensor() for _ in range(14)][-1])
"""


def test_freed_memory_is_kept(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert int(printed.stdout) < 10
