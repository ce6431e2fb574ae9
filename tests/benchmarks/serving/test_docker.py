"""Division of cores, and the output of Docker."""

import pytest

from benchmarks.serving.docker import divide_cores, docker, parse_memory


def test_two_cores_are_divided_equally() -> None:
    assert divide_cores({0, 1}) == ("0", "1", 1)


def test_cores_need_not_be_consecutive() -> None:
    assert divide_cores({7, 2, 5}) == ("2", "5,7", 1)


def test_server_gets_at_most_four_cores() -> None:
    assert divide_cores(set(range(12))) == ("0,1,2,3", "4,5,6,7,8,9,10,11", 4)


def test_one_core_is_rejected() -> None:
    with pytest.raises(SystemExit, match="one core is too few"):
        divide_cores({0})


@pytest.mark.parametrize(
    ("usage", "size"),
    [
        ("3MiB / 1GiB\n", 3 * 2**20),
        ("0B / 0B", 0),
        ("512KiB / 1GiB", 2**19),
        ("468.5MiB / 23.54GiB", 937 * 2**19),
        ("2GiB / 4GiB", 2**31),
    ],
)
def test_memory_is_parsed(usage: str, size: int) -> None:
    assert parse_memory(usage) == size


def test_unknown_memory_is_rejected() -> None:
    with pytest.raises(ValueError, match="'-- / --'"):
        parse_memory("-- / --")


def test_failed_command_shows_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SystemExit, match=r"docker version failed: .*/nowhere/docker\.sock"):
        docker("version")
