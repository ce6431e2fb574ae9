"""The average of the weights over the steps."""

import pytest
import torch
from torch import Tensor, nn

from sentiment.training.averaging import averaged


def weights_of(share: float, values: list[float]) -> tuple[Tensor, Tensor]:
    """The average after steps to these weights, and the last weights."""
    network = nn.Linear(1, 1)
    average = averaged(network, share)
    for value in values:
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
    return average.module.get_parameter("weight").detach(), network.weight.detach()


def test_without_a_share_it_is_the_network_bit_for_bit() -> None:
    average, now = weights_of(0, [1 / 3, 0.1, 0.7])
    assert torch.equal(average, now)


def test_it_is_exponential_in_the_long_run() -> None:
    average, _ = weights_of(0.5, [0.0] * 100 + [1.0, 1.0])
    assert average.item() == pytest.approx(0.75)


def test_first_weights_are_forgotten_soon() -> None:
    average, _ = weights_of(0.999, [100.0] + [0.0] * 50)
    assert abs(average.item()) < 0.01
