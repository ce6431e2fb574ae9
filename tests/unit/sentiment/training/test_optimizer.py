"""Optimizer steps and the EMA of the weights."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from byoc.errors import TrainingError
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.settings import NetworkSettings
from sentiment.training.optimizer import Optimization, lr_factor, new_ema

HYPERPARAMETERS = Hyperparameters(learning_rate=0.02, precision="fp32")
IDS = torch.tensor([[2, 4, 0], [3, 0, 0], [2, 0, 0], [3, 5, 6]])
LENGTHS, LABELS = torch.tensor([2, 1, 1, 3]), torch.tensor([1.0, 0.0, 1.0, 0.0])


def step(optimization: Optimization, number: int, parts: int = 1) -> float:
    """Take a step in equal micro-batches; returns the loss before it."""

    def loss(rows: slice) -> Tensor:
        logits = optimization.network(IDS[rows], LENGTHS[rows]).float()
        return functional.binary_cross_entropy_with_logits(logits, LABELS[rows]) / parts

    size = len(IDS) // parts
    slices = [slice(start, start + size) for start in range(0, len(IDS), size)]
    return optimization.step([partial(loss, rows) for rows in slices], number).item()


def new(precision: str = "fp32") -> Optimization:
    torch.manual_seed(1)
    network = SentimentLSTM(NetworkSettings(7, 4, 4, "max"))
    return Optimization(network, replace(HYPERPARAMETERS, precision=precision), 100)


def losses(optimization: Optimization, begin: int, end: int) -> list[float]:
    return [step(optimization, number) for number in range(begin, end)]


def test_linear_schedule_rises_and_falls() -> None:
    factors = [lr_factor(step, 1_000, "linear") for step in range(1_000)]
    assert factors.index(max(factors)) == 29
    assert max(factors) == pytest.approx(1, abs=0.05)
    assert min(factors) > 0
    assert factors[-1] < 0.01


def test_constant_schedule_is_constant() -> None:
    assert {lr_factor(step, 100, "constant") for step in range(100)} == {1.0}


def test_micro_batches_do_not_change_step() -> None:
    whole, split = new(), new()
    expected = losses(whole, 0, 3)
    assert [step(split, number, parts=2) for number in range(3)] == pytest.approx(expected, rel=1e-6)
    for name, weight in whole.network.state_dict().items():
        torch.testing.assert_close(split.network.state_dict()[name], weight)


def vectors_moved(embedding_lr_scale: float) -> float:
    """Largest movement of an embedding element in one step, relative to the LSTM's bias."""
    torch.manual_seed(1)
    network = SentimentLSTM(NetworkSettings(7, 4, 4, "max"))
    network.embedding.requires_grad_(embedding_lr_scale > 0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    values = replace(HYPERPARAMETERS, embedding_lr_scale=embedding_lr_scale, lr_schedule="constant")
    step(Optimization(network, values, 100), 0)
    after = network.state_dict()
    moved = {name: (after[name] - before[name]).abs().max() for name in after}
    return float(moved["embedding.weight"] / moved["lstm.bias_ih_l0"])


def test_weight_decay_spares_embeddings() -> None:
    torch.manual_seed(1)
    network = SentimentLSTM(NetworkSettings(8, 4, 4, "mean"))
    hidden, unread = network.lstm.get_parameter("weight_hh_l0").clone(), network.embedding.weight[-1].clone()
    optimization = Optimization(network, replace(HYPERPARAMETERS, weight_decay=10.0), 100)
    losses(optimization, 0, 20)
    assert torch.equal(network.embedding.weight[-1], unread)
    assert network.lstm.get_parameter("weight_hh_l0").abs().sum() < hidden.abs().sum() / 2


@pytest.mark.parametrize("embedding_lr_scale", [0.0, 0.25, 2.0])
def test_embedding_lr_scale_scales_their_step(embedding_lr_scale: float) -> None:
    # Adam's first step equals the learning rate.
    assert vectors_moved(embedding_lr_scale) == pytest.approx(embedding_lr_scale, rel=0.01)


def test_single_step_has_peak_rate() -> None:
    assert lr_factor(0, 1, "linear") == 1


def test_step_uses_its_scheduled_rate() -> None:
    optimization = new()
    losses(optimization, 40, 41)
    assert optimization.optimizer.param_groups[0]["lr"] == 0.02 * lr_factor(40, 100, "linear")


@pytest.fixture(autouse=True)
def fp16_on_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """fp16 is for GPUs, but torch's own LSTM runs its loss scaling on CPUs, too."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_loss_falls(precision: str) -> None:
    first, *_, last = losses(new(precision), 0, 100)
    assert first > 0.6
    assert last < 0.2


def test_bf16_learns_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        assert losses(new("bf16"), 0, 100)[-1] < 0.2
    else:
        with pytest.raises(TrainingError, match="precision=bf16 is not supported"):
            Hardware.from_device(torch.device("cpu")).resolve("bf16")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_restored_state_resumes_bit_for_bit(precision: str) -> None:
    first = new(precision)
    losses(first, 0, 10)
    second = new(precision)
    second.network.load_state_dict(first.network.state_dict())
    second.restore({name: tensor.clone() for name, tensor in first.tensors().items()}, first.values())
    assert losses(first, 10, 20) == losses(second, 10, 20)


def test_fp16_overflow_only_halves_scale() -> None:
    optimization = new("fp16")
    losses(optimization, 0, 1)
    before = {name: tensor.clone() for name, tensor in optimization.network.state_dict().items()}
    scale = optimization.values()["scale"]
    bias = optimization.network.get_parameter("linear.bias")
    bias.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    losses(optimization, 1, 2)
    assert optimization.values()["scale"] == scale / 2
    assert all(torch.equal(before[name], now) for name, now in optimization.network.state_dict().items())


def test_gradient_norm_is_clipped() -> None:
    optimization = new("fp16")
    losses(optimization, 0, 1)
    norms = [
        parameter.grad.norm() for parameter in optimization.network.parameters() if parameter.grad is not None
    ]
    assert torch.stack(norms).norm() <= HYPERPARAMETERS.max_grad_norm * 1.01


def ema_after(decay: float, values: list[float]) -> tuple[Tensor, Tensor]:
    """EMA after steps to these weights, and the last weights."""
    network = nn.Linear(1, 1)
    ema = new_ema(network, decay)
    for value in values:
        nn.init.constant_(network.weight, value)
        ema.update_parameters(network)
    return ema.module.get_parameter("weight").detach(), network.weight.detach()


def test_ema_without_decay_is_the_network() -> None:
    average, weights = ema_after(0, [1 / 3, 0.1, 0.7])
    assert torch.equal(average, weights)


def test_ema_is_exponential() -> None:
    average, _ = ema_after(0.5, [0.0] * 100 + [1.0, 1.0])
    assert average.item() == pytest.approx(0.75)


def test_ema_soon_forgets_initial_weights() -> None:
    average, _ = ema_after(0.999, [100.0] + [0.0] * 50)
    assert abs(average.item()) < 0.01
