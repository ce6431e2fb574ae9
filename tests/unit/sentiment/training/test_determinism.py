"""Settings of torch."""

import torch

from sentiment.training.determinism import set_up_torch


def test_new_memory_is_not_filled() -> None:
    set_up_torch(1)
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
