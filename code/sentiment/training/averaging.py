"""An average of the weights over the steps, which is what is validated and deployed.

Polyak and Juditsky, SIAM Journal on Control and Optimization 30 (1992); exponential, as torch's
``AveragedModel`` has it, but for its beginning.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, share: float) -> AveragedModel:
    """The network's average, which ``update_parameters`` takes one step further.

    Args:
        network: whose weights are averaged.
        share: what of the average a step leaves; 0: the average is the network.
    """
    return AveragedModel(network, multi_avg_fn=_exponential(share))


def _exponential(share: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(average: Sequence[Tensor], now: Sequence[Tensor], steps: Tensor | int) -> None:
        # Less at the beginning, or the random first weights would weigh for long: the rule of TensorFlow's
        # ExponentialMovingAverage with num_updates.
        left = min(share, (1 + int(steps)) / (10 + int(steps)))
        torch._foreach_lerp_(list(average), list(now), 1 - left)

    return update
