"""What this container may use: the limits of its control group, version 1 or 2, or else the machine's."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def cpus(root: Path = ROOT) -> int:
    """CPUs to use, at least 1: those that the process may run on, or fewer where a quota says so."""
    usable = float(len(os.sched_getaffinity(0)))
    for folder in _folders(root, "cpu"):
        quota, period = _read_quota(folder)
        if quota > 0 and period > 0:
            usable = min(usable, quota / period)
    # A quota of 1.5 CPUs keeps two workers busy for three quarters of the time.
    return max(1, math.ceil(usable))


def memory(root: Path = ROOT) -> int:
    """Bytes of memory that the container may use."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _folders(root, "memory"):
        limit = min([limit, *_numbers(folder, "memory.max"), *_numbers(folder, "memory.limit_in_bytes")])
    return limit


def free_memory(root: Path = ROOT) -> int:
    """Bytes that can still be used; the page cache, which gives way, counts as free."""
    free = _available(root)
    for folder in _folders(root, "memory"):
        for limit_name, usage_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            for limit in _numbers(folder, limit_name):
                used = next(_numbers(folder, usage_name), 0)
                free = min(free, limit - used + _page_cache(folder))
    return max(0, free)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the process' group and of those above it, in either version.

    In a container the own group often is what is mounted, and the path in /proc is the host's.
    """
    base = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounted = base
        elif controller in controllers.split(","):
            mounted = base / controller
        else:
            continue
        group = mounted / path.lstrip("/")
        while group != mounted and mounted in group.parents:
            if group.is_dir():
                yield group
            group = group.parent
        yield mounted


def _read_quota(folder: Path) -> tuple[int, int]:
    """Microseconds of CPU in each period, and the period; 0 where there is none."""
    if lines := _lines(folder / "cpu.max"):
        of_period, length = lines[0].split()
        return (0 if of_period == "max" else int(of_period)), int(length)
    quota = next(_numbers(folder, "cpu.cfs_quota_us"), 0)
    return quota, next(_numbers(folder, "cpu.cfs_period_us"), 0)


def _page_cache(folder: Path) -> int:
    figures = dict(line.split() for line in _lines(folder / "memory.stat"))
    # Version 1 counts the groups below under names of their own.
    return int(figures.get("total_inactive_file", figures.get("inactive_file", 0)))


def _available(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def _numbers(folder: Path, name: str) -> Iterator[int]:
    """The number in a file, if there is one: "max" and a missing file are none."""
    lines = _lines(folder / name)
    if lines and lines[0].lstrip("-").isdigit():
        yield int(lines[0])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []
