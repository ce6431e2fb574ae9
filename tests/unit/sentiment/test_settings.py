"""Validation of settings."""

import pytest

from sentiment.settings import NetworkSettings, TextSettings


def test_zero_size_is_rejected() -> None:
    with pytest.raises(ValueError, match="hidden_dim is 0, expected a positive integer"):
        NetworkSettings(10, 4, 0, "max")


def test_unknown_pooling_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected one of last, mean, max, mean-max"):
        NetworkSettings(10, 4, 4, "sum")


@pytest.mark.parametrize(("pooling", "pooled_dim"), [("last", 4), ("mean", 4), ("max", 4), ("mean-max", 8)])
def test_pooling_determines_pooled_size(pooling: str, pooled_dim: int) -> None:
    settings = NetworkSettings(10, 3, 4, pooling)
    assert settings.pooled_dim == pooled_dim
    assert settings.tensor_shapes()["linear.weight"] == (1, pooled_dim)


def test_invalid_stop_words_are_rejected() -> None:
    with pytest.raises(ValueError, match="stop_words must be a list of words"):
        TextSettings([1], 10, "head")  # type: ignore[list-item]  # as it may come from a file


def test_bool_is_not_a_length() -> None:
    with pytest.raises(ValueError, match="max_length is True"):
        TextSettings([], True, "head")
