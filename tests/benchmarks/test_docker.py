"""How cores are shared out, and what is read from Docker."""

import pytest

from benchmarks.serving.docker import docker, parse_memory, share_out


def test_two_cores_are_one_each() -> None:
    assert share_out({0, 1}) == ("0", "1", 1)


def test_the_cores_need_not_begin_with_the_first() -> None:
    assert share_out({7, 2, 5}) == ("2", "5,7", 1)


def test_the_server_gets_as_many_as_on_an_endpoint() -> None:
    assert share_out(set(range(12))) == ("0,1,2,3", "4,5,6,7,8,9,10,11", 4)


def test_one_core_is_too_few() -> None:
    with pytest.raises(SystemExit, match="one core is too few"):
        share_out({0})


@pytest.mark.parametrize(
    ("usage", "size"),
    [
        ("\x1b[2J\x1b[H3MiB / 1GiB\n", 3 * 2**20),
        ("0B / 0B", 0),
        ("512KiB / 1GiB", 2**19),
        ("468.5MiB / 23.54GiB", 937 * 2**19),
        ("2GiB / 4GiB", 2**31),
    ],
)
def test_memory(usage: str, size: int) -> None:
    assert parse_memory(usage) == size


def test_memory_that_docker_does_not_tell() -> None:
    with pytest.raises(ValueError, match="'-- / --'"):
        parse_memory("-- / --")


def test_a_failing_command_ends_the_program_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SystemExit, match=r"docker version failed: .*/nowhere/docker\.sock"):
        docker("version")
