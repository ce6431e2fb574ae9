"""The training loop, on words that give the label away."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from sentiment.batches import Examples, Sequences
from sentiment.errors import TrainingError
from sentiment.evaluation import log_loss
from sentiment.hyperparameters import Hyperparameters
from sentiment.model import SentimentLSTM, evaluate
from sentiment.settings import NetworkSettings
from sentiment.training import Epoch, best_epoch, check_precision, fit, learning_rate_share, set_up_torch

HYPERPARAMETERS = Hyperparameters(epochs=4, batch_size=16, learning_rate=0.02, patience=4)


def examples(count: int, seed: int, noise: float = 0.0) -> Examples:
    """Reviews of random words, where id 2 comes in positive and id 3 in negative ones."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count).astype(np.int8)
    ids = [generator.integers(4, 30, generator.integers(3, 20)).tolist() for _ in range(count)]
    for words, label in zip(ids, labels, strict=True):
        words[0] = 2 if label == (generator.random() >= noise) else 3
    return Examples(Sequences.of(ids), labels)


TRAINING, VALIDATION = examples(320, 0), examples(64, 1)
Trained = tuple[SentimentLSTM, list[Epoch]]


def train(hyperparameters: Hyperparameters = HYPERPARAMETERS, validation: Examples = VALIDATION) -> Trained:
    set_up_torch(hyperparameters.seed)
    network = SentimentLSTM(NetworkSettings(30, 8, 8, "max"), 0.1, 0.1)
    return network, fit(network, TRAINING, validation, hyperparameters)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train()


def test_it_learns(trained: Trained) -> None:
    assert trained[1][-1].validation_accuracy > 0.95


def test_same_seed_gives_the_same_weights_bit_for_bit(trained: Trained) -> None:
    again, _ = train()
    for name, tensor in trained[0].state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_other_seed_gives_other_weights(trained: Trained) -> None:
    other, _ = train(replace(HYPERPARAMETERS, seed=2))
    assert not torch.equal(trained[0].linear.weight, other.linear.weight)


def test_network_is_left_with_the_weights_of_the_best_epoch() -> None:
    # Labels that contradict the training's: every epoch makes it worse.
    validation = examples(64, 1, noise=1.0)
    network, history = train(replace(HYPERPARAMETERS, patience=2), validation)
    best = best_epoch(history)
    assert best.epoch < history[-1].epoch
    assert log_loss(evaluate(network, validation.sequences), validation.labels) == best.validation_loss


def test_patience_ends_the_training() -> None:
    _, history = train(replace(HYPERPARAMETERS, epochs=20, patience=2), examples(64, 1, noise=1.0))
    assert len(history) == best_epoch(history).epoch + 2


def test_epoch_is_one_line_of_plain_decimals(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="sentiment")
    train(replace(HYPERPARAMETERS, epochs=1))
    number = r"\d+\.\d{4};"
    pattern = (
        rf"epoch=1; train_loss={number} validation_loss={number} validation_accuracy={number} "
        r"reviews_per_second=\d+;"
    )
    assert [record for record in caplog.messages if re.fullmatch(pattern, record)]


def test_small_figures_are_plain_decimals() -> None:
    assert "train_loss=0.0000;" in str(Epoch(1, 1e-9, 0.5, 0.5, 1e9))


def test_learning_rate_rises_and_falls() -> None:
    shares = [learning_rate_share(step, 1_000) for step in range(1_000)]
    assert shares.index(max(shares)) == 29
    assert max(shares) == pytest.approx(1, abs=0.05)
    assert min(shares) > 0
    assert shares[-1] < 0.01


def test_single_step_has_a_learning_rate() -> None:
    assert learning_rate_share(0, 1) == 1


def test_loss_that_is_no_number_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(_network: SentimentLSTM, _ids: object, lengths: torch.Tensor) -> torch.Tensor:
        return torch.full((len(lengths),), torch.nan, requires_grad=True)

    monkeypatch.setattr(SentimentLSTM, "forward", forward)
    with pytest.raises(TrainingError, match="the training loss is nan in epoch 1; try a lower learning_rate"):
        train()


def test_bf16_learns_too_or_is_refused_where_the_cpu_has_none() -> None:
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        check_precision("bf16", "cpu")
        assert train(replace(HYPERPARAMETERS, precision="bf16"))[1][-1].validation_accuracy > 0.9
    else:
        with pytest.raises(TrainingError, match="use precision fp32 here"):
            check_precision("bf16", "cpu")


def test_fp32_is_never_refused() -> None:
    check_precision("fp32", "cpu")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_to_people_only(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    train(replace(HYPERPARAMETERS, epochs=1))
    assert ("epoch 1/1" in capsys.readouterr().err) == is_terminal
