"""Mutated files; ``python -m tests.support.fuzz_files 10000`` reads more."""

from tests.support.fuzz_files import fuzz


def test_mutated_files_are_read_or_refused() -> None:
    outcomes = fuzz(range(300))
    assert outcomes["read"] > 20
    assert outcomes["refused:"] > 20
