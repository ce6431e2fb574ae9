"""Memory that is freed and taken again."""

import subprocess
import sys
from pathlib import Path

from tests.support.programs import environment

PROGRAM = """
import resource
import torch
from sentiment.training.memory import keep_freed_memory

def pages_of_a_tensor():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
# glibc 2.36 looks for a block of the size and its alignment together, and finds one after a few rounds.
print([pages_of_a_tensor() for _ in range(14)][-1])
"""


def test_memory_that_was_freed_is_not_asked_of_the_system_again(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert int(printed.stdout) < 10
