"""What the C library does with memory that a step of the training has given back."""

import ctypes

# Options of glibc's mallopt(3), and a size that no tensor of a step reaches.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_NEVER = 1 << 30


def keep_freed_memory() -> None:
    """Let this process keep memory that it has freed, for the next step to take.

    By default glibc returns every block of more than 32 MB to the system when it is freed, and the system
    zeroes, page by page, what the next step asks for: a third of a step's time, for the outputs and
    intermediate results of the LSTM. Another C library than glibc is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _NEVER)
        mallopt(_TRIM_THRESHOLD, _NEVER)
