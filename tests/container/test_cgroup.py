"""Limits of the container, read from fake root folders."""

import math
import os
from pathlib import Path

import pytest

from serving import cgroup

MIB = 2**20
# Version 1 writes this number for "no limit".
NO_LIMIT = 9223372036854771712


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 8 CPUs and 16 GiB, 4 of them free."""
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4 * MIB, "SC_AVPHYS_PAGES": MIB}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)


def make_root(folder: Path, groups: str, **files: str | int) -> Path:
    """A root folder with files below /sys/fs/cgroup; ``__`` in a name is a slash."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(groups)
    for name, content in files.items():
        *parts, end = name.split("__")
        path = folder.joinpath("sys", "fs", "cgroup", *parts, end.replace("_", ".", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return folder


def test_machine_limits_without_control_groups(tmp_path: Path) -> None:
    assert cgroup.cpus(tmp_path) == 8
    assert cgroup.memory(tmp_path) == 16 * 1024 * MIB
    assert cgroup.free_memory(tmp_path) == 4 * 1024 * MIB


def test_limits_of_this_process_are_plausible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert cgroup.cpus() >= 1
    assert 0 < cgroup.free_memory() <= cgroup.memory()


def test_smaller_affinity_wins_over_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5})
    assert cgroup.cpus(make_root(tmp_path, "0::/\n", cpu_max="400000 100000")) == 2


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("100000 50000", 2),
        ("max 100000", 8),
        ("6400000 100000", 8),
    ],
)
def test_version_2_quota_is_rounded_up(tmp_path: Path, quota: str, cpus: int) -> None:
    assert cgroup.cpus(make_root(tmp_path, "0::/\n", cpu_max=quota)) == cpus


@pytest.mark.parametrize(
    ("quota", "period", "cpus"), [(300000, 100000, 3), (125000, 50000, 3), (-1, 100000, 8), (0, 0, 8)]
)
def test_version_1_quota_is_rounded_up(tmp_path: Path, quota: int, period: int, cpus: int) -> None:
    files = {"cpu__cpu_cfs_quota_us": quota, "cpu__cpu_cfs_period_us": period}
    assert cgroup.cpus(make_root(tmp_path, "3:cpu,cpuacct:/\n", **files)) == cpus


def test_parent_group_limits_too(tmp_path: Path) -> None:
    files = {"a__cpu_max": "100000 100000", "a__b__cpu_max": "400000 100000", "cpu_max": "max 100000"}
    assert cgroup.cpus(make_root(tmp_path, "0::/a/b\n", **files)) == 1


def test_sibling_group_does_not_limit(tmp_path: Path) -> None:
    files = {"a__cpu_max": "100000 100000", "b__cpu_max": "400000 100000"}
    assert cgroup.cpus(make_root(tmp_path, "0::/b\n", **files)) == 4


def test_host_path_means_the_mounted_group(tmp_path: Path) -> None:
    files = {"memory__memory_limit_in_bytes": 512 * MIB}
    assert cgroup.memory(make_root(tmp_path, "4:memory:/docker/0123\n", **files)) == 512 * MIB


def test_path_outside_the_mount_is_ignored(tmp_path: Path) -> None:
    assert cgroup.cpus(make_root(tmp_path, "0::/../other\n", cpu_max="200000 100000")) == 2


def test_hybrid_mode_uses_version_1_controllers(tmp_path: Path) -> None:
    """Systemd's hybrid mode mounts both versions and leaves the controllers to version 1."""
    files = {"memory__job__memory_limit_in_bytes": 700 * MIB}
    root = make_root(tmp_path, "9:name=systemd:/\n4:memory:/job\n1:cpu:/\n0::/\n", **files)
    assert cgroup.memory(root) == 700 * MIB
    assert cgroup.cpus(root) == 8


@pytest.mark.parametrize("limit", ["max", str(32 * 1024 * MIB)])
def test_version_2_memory_is_at_most_all(tmp_path: Path, limit: str) -> None:
    assert cgroup.memory(make_root(tmp_path, "0::/\n", memory_max=limit)) == 16 * 1024 * MIB


def test_version_1_memory_is_at_most_all(tmp_path: Path) -> None:
    root = make_root(tmp_path, "4:memory:/\n", memory__memory_limit_in_bytes=NO_LIMIT)
    assert cgroup.memory(root) == 16 * 1024 * MIB


def test_memory_is_smallest_group_limit(tmp_path: Path) -> None:
    root = make_root(tmp_path, "0::/a/b\n", a__memory_max=900 * MIB, a__b__memory_max="max")
    assert cgroup.memory(root) == 900 * MIB


def test_version_2_page_cache_is_free(tmp_path: Path) -> None:
    stat = f"anon {500 * MIB}\ninactive_file {100 * MIB}\nactive_file {50 * MIB}"
    files: dict[str, str | int] = {"memory_max": 1000 * MIB, "memory_current": 700 * MIB, "memory_stat": stat}
    assert cgroup.free_memory(make_root(tmp_path, "0::/\n", **files)) == 400 * MIB


def test_version_1_page_cache_includes_children(tmp_path: Path) -> None:
    stat = f"inactive_file {1 * MIB}\ntotal_inactive_file {100 * MIB}"
    files: dict[str, str | int] = {
        "memory__memory_limit_in_bytes": 1000 * MIB,
        "memory__memory_usage_in_bytes": 700 * MIB,
        "memory__memory_stat": stat,
    }
    assert cgroup.free_memory(make_root(tmp_path, "4:memory:/\n", **files)) == 400 * MIB


def test_free_memory_is_minimum_over_groups(tmp_path: Path) -> None:
    files = {
        "a__memory_max": 1000 * MIB,
        "a__memory_current": 950 * MIB,
        "a__b__memory_max": 800 * MIB,
        "a__b__memory_current": 100 * MIB,
    }
    assert cgroup.free_memory(make_root(tmp_path, "0::/a/b\n", **files)) == 50 * MIB


def test_group_over_limit_has_none_free(tmp_path: Path) -> None:
    files = {"memory_max": 100 * MIB, "memory_current": 101 * MIB}
    assert cgroup.free_memory(make_root(tmp_path, "0::/\n", **files)) == 0


def test_free_memory_without_limit_is_machines(tmp_path: Path) -> None:
    root = make_root(tmp_path, "0::/\n", memory_max="max", memory_current=700 * MIB)
    (root / "proc" / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable:    3072 kB\n")
    assert cgroup.free_memory(root) == 3 * MIB


@pytest.mark.parametrize(
    ("groups", "name", "content"),
    [
        ("0::/\n", "memory_events", "low 0\noom 9\noom_kill 3\noom_group_kill 1"),
        ("4:memory:/\n", "memory__memory_oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3"),
    ],
)
def test_kills_for_memory_are_counted(tmp_path: Path, groups: str, name: str, content: str) -> None:
    assert cgroup.out_of_memory_kills(make_root(tmp_path, groups, **{name: content})) == 3


def test_kills_without_control_group_are_0(tmp_path: Path) -> None:
    assert cgroup.out_of_memory_kills(tmp_path) == 0


def test_free_processes_are_limit_less_current(tmp_path: Path) -> None:
    assert cgroup.free_processes(make_root(tmp_path, "0::/\n", pids_max=50, pids_current=2)) == 48


def test_processes_without_limit_are_infinite(tmp_path: Path) -> None:
    assert cgroup.free_processes(make_root(tmp_path, "0::/\n", pids_max="max")) == math.inf
