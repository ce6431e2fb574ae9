"""Settings of malloc for the whole process."""

import ctypes

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
