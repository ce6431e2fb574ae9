"""Settings refuse what cannot be."""

import pytest

from sentiment.settings import NetworkSettings, TextSettings


def test_network_of_no_width_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_dim is 0, expected a positive integer"):
        NetworkSettings(10, 4, 0, "max")


def test_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of last, mean, smoothed-mean, max"):
        NetworkSettings(10, 4, 4, "sum")


def test_stop_words_that_are_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="stop_words must be a list of words"):
        TextSettings([1], 10, "head")  # type: ignore[list-item]  # as it may come from a file


def test_true_is_no_length() -> None:
    with pytest.raises(ValueError, match="max_length is True"):
        TextSettings([], True, "head")
