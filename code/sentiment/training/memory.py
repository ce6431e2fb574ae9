"""Settings of malloc and torch for the whole process."""

import ctypes

import torch

# Options of glibc's mallopt(3), and a size that no tensor of a step reaches.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_UNREACHED = 1 << 30


def keep_freed_memory() -> None:
    """Let malloc keep freed memory for the next step.

    By default glibc returns every block above 32 MB to the system, which zeroes each page of the next step's
    outputs again: a third of the time of a step. C libraries other than glibc are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _UNREACHED)
        mallopt(_TRIM_THRESHOLD, _UNREACHED)


def set_up_torch(seed: int) -> None:
    """Seed torch and, without a GPU, make it deterministic for a given machine and number of threads.

    Call it before the first tensor operation: existing threads keep their treatment of denormal numbers,
    which are flushed to zero because they slow down CPUs by a factor.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        return
    torch.use_deterministic_algorithms(True)
    # Filling new memory only helps programs that read uninitialized memory; it takes a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
