"""CPUs and memory of the container: the limits of its control group (version 1 or 2), or the machine's."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def cpus(root: Path = ROOT) -> int:
    """Number of CPUs, at least 1: the process' affinity, or a smaller quota."""
    count = float(len(os.sched_getaffinity(0)))
    for folder in _folders(root, "cpu"):
        quota, period = _read_quota(folder)
        if quota > 0 and period > 0:
            count = min(count, quota / period)
    # Rounded up: a quota of 1.5 CPUs keeps two workers busy for three quarters of the time.
    return max(1, math.ceil(count))


def memory(root: Path = ROOT) -> int:
    """Memory limit in bytes."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _folders(root, "memory"):
        limit = min([limit, *_numbers(folder, "memory.max", "memory.limit_in_bytes")])
    return limit


def free_memory(root: Path = ROOT) -> int:
    """Free memory in bytes, including the page cache, which the kernel drops on demand."""
    free = _available(root)
    for folder in _folders(root, "memory"):
        for limit in _numbers(folder, "memory.max", "memory.limit_in_bytes"):
            used = next(_numbers(folder, "memory.current", "memory.usage_in_bytes"), 0)
            free = min(free, limit - used + _page_cache(folder))
    return max(0, free)


def out_of_memory_kills(root: Path = ROOT) -> int:
    """Processes of the container that the kernel has killed because memory ran out."""
    for folder in _folders(root, "memory"):
        lines = _lines(folder / "memory.events") or _lines(folder / "memory.oom_control")
        for name, number in map(str.split, lines):
            if name == "oom_kill":
                return int(number)
    return 0


def free_processes(root: Path = ROOT) -> float:
    """Processes and threads that the container may still start; infinity without a limit."""
    free = math.inf
    for folder in _folders(root, "pids"):
        for limit in _numbers(folder, "pids.max"):
            free = min(free, limit - next(_numbers(folder, "pids.current"), 0))
    return free


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the process' group and its parents, in either version.

    In a container the group itself is usually mounted at the root, while /proc shows the host's path.
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
    """Microseconds of CPU per period, and the period; 0 without a quota."""
    if lines := _lines(folder / "cpu.max"):
        limit, period = lines[0].split()
        return (0 if limit == "max" else int(limit)), int(period)
    quota = next(_numbers(folder, "cpu.cfs_quota_us"), 0)
    return quota, next(_numbers(folder, "cpu.cfs_period_us"), 0)


def _page_cache(folder: Path) -> int:
    figures = dict(line.split() for line in _lines(folder / "memory.stat"))
    # In version 1 the totals with child groups have names of their own.
    return int(figures.get("total_inactive_file", figures.get("inactive_file", 0)))


def _available(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def _numbers(folder: Path, *names: str) -> Iterator[int]:
    """The number in each file, of which a version has one; nothing for "max" or a missing file."""
    for name in names:
        lines = _lines(folder / name)
        if lines and lines[0].lstrip("-").isdigit():
            yield int(lines[0])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []
