"""The training loop, on words that give the label away."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import CheckpointError, TrainingError
from byoc.signals import StopFlag
from sentiment.evaluation.metrics import log_loss
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.settings import NetworkSettings
from sentiment.text.sequences import Examples, Sequences
from sentiment.training import trainer as training
from sentiment.training.history import Epoch, best_epoch
from sentiment.training.loader import DeviceBatch, Targets
from sentiment.training.trainer import TrainingLoop, fit, set_up_torch

HYPERPARAMETERS = Hyperparameters(epochs=4, batch_size=16, learning_rate=0.02, patience=4, precision="fp32")


def examples(count: int, seed: int, noise: float = 0.0) -> Examples:
    """Reviews of random words, where id 2 comes in positive and id 3 in negative ones."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count).astype(np.int8)
    ids = [generator.integers(4, 30, generator.integers(3, 20)).tolist() for _ in range(count)]
    for words, label in zip(ids, labels, strict=True):
        words[0] = 2 if label == (generator.random() >= noise) else 3
    return Examples(Sequences.from_lists(ids), labels)


TRAINING, VALIDATION = examples(320, 0), examples(64, 1)
NO_CHECKPOINTS = Checkpoints(Path("there is no such folder"), 1)
Trained = tuple[SentimentLSTM, list[Epoch]]


def new_loop(
    hyperparameters: Hyperparameters = HYPERPARAMETERS, process_group: ProcessGroup = SINGLE_PROCESS
) -> TrainingLoop:
    set_up_torch(hyperparameters.seed)
    network = SentimentLSTM(NetworkSettings(30, 8, 8, "max"), 0.1, 0.1)
    return TrainingLoop(
        network, Targets.from_labels(TRAINING), hyperparameters, {"seed": hyperparameters.seed}, process_group
    )


def train(hyperparameters: Hyperparameters = HYPERPARAMETERS, validation: Examples = VALIDATION) -> Trained:
    loop = new_loop(hyperparameters)
    assert fit(loop, validation, StopFlag(), NO_CHECKPOINTS, lambda: None)
    loop.network.load_state_dict(loop.best_weights)
    return loop.network, loop.history


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


def test_validation_loss_that_is_no_number_ends_the_training_too(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = np.full(len(VALIDATION.labels), np.nan, np.float32)
    monkeypatch.setattr(training, "evaluate", lambda *_: nan)
    with pytest.raises(TrainingError, match="the validation loss is nan in epoch 1\n"):
        train()


def test_loss_that_is_no_number_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(_network: SentimentLSTM, _ids: object, lengths: torch.Tensor, _: object) -> torch.Tensor:
        return torch.full((len(lengths),), torch.nan, requires_grad=True)

    monkeypatch.setattr(SentimentLSTM, "forward", forward)
    with pytest.raises(TrainingError, match="the training loss is nan in epoch 1\ntry a lower learning_rate"):
        train()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_to_people_only(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    train(replace(HYPERPARAMETERS, epochs=1))
    assert ("epoch 1/1" in capsys.readouterr().err) == is_terminal


def run(loop: TrainingLoop, steps: int) -> StopFlag:
    """Train for so many steps, and then be told to stop."""
    stop = StopFlag()
    step, done = loop.optimization.step, iter(range(1, steps))

    def counting(batch: DeviceBatch, number: int, weight: float = 1.0) -> torch.Tensor:
        stop.requested = next(done, None) is None
        return step(batch, number, weight)

    loop.optimization.step = counting  # type: ignore[method-assign]
    fit(loop, VALIDATION, stop, NO_CHECKPOINTS, lambda: None)
    return stop


def test_stop_comes_between_two_steps() -> None:
    loop = new_loop()
    run(loop, 27)
    assert loop.position == Position(1, 7)


def test_stop_after_the_last_step_leaves_an_epoch_that_is_not_over() -> None:
    loop = new_loop()
    run(loop, 20)
    assert loop.position == Position(0, 20)


@pytest.mark.parametrize("steps", [1, 19, 20, 21, 53])
def test_interrupted_training_goes_on_as_if_nothing_had_happened(steps: int, trained: Trained) -> None:
    first = new_loop()
    run(first, steps)
    content = first.checkpoint().to_bytes()
    second = new_loop()
    second.restore(Checkpoint.from_bytes(content))
    assert fit(second, VALIDATION, StopFlag(), NO_CHECKPOINTS, lambda: None)
    for name, tensor in trained[0].state_dict().items():
        assert torch.equal(tensor, second.best_weights[name])
    assert [epoch[:4] for epoch in second.history] == [epoch[:4] for epoch in trained[1]]


def test_finished_training_does_not_go_on(trained: Trained) -> None:
    first, second = new_loop(), new_loop()
    assert fit(first, VALIDATION, StopFlag(), NO_CHECKPOINTS, lambda: None)
    second.restore(first.checkpoint())
    second.optimization.step = None  # type: ignore[assignment, method-assign]
    assert fit(second, VALIDATION, StopFlag(), NO_CHECKPOINTS, lambda: None)
    assert np.array_equal(second.best_logits, first.best_logits)
    assert len(second.history) == len(trained[1])


def test_checkpoint_of_another_training_is_refused() -> None:
    checkpoint = new_loop().checkpoint()
    with pytest.raises(CheckpointError, match=r"made with seed 1 \(now 2\)"):
        new_loop(replace(HYPERPARAMETERS, seed=2)).restore(checkpoint)


def names(folder: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in folder.iterdir())


def test_checkpoint_is_written_after_each_epoch(tmp_path: Path) -> None:
    assert fit(new_loop(), VALIDATION, StopFlag(), Checkpoints(tmp_path, 10), lambda: None)
    assert names(tmp_path)[-2:] == ["checkpoint-00003-00000000", "checkpoint-00004-00000000"]


def test_checkpoint_is_written_when_it_is_due(tmp_path: Path) -> None:
    loop = new_loop()
    stop = StopFlag()
    checkpoints = Checkpoints(tmp_path, 0)
    write = checkpoints.write

    def stop_then(checkpoint: Checkpoint, best_epoch: int) -> None:
        stop.requested = checkpoint.position == (0, 2)
        write(checkpoint, best_epoch)

    checkpoints.write = stop_then  # type: ignore[method-assign]
    assert not fit(loop, VALIDATION, stop, checkpoints, lambda: None)
    assert names(tmp_path) == ["checkpoint-00000-00000002", "checkpoint-00000-00000003"]


def test_only_the_first_rank_writes_and_says_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    positions: list[Position] = []
    write = TrainingLoop.write

    def recording(loop: TrainingLoop, checkpoints: Checkpoints) -> None:
        positions.append(loop.position)
        write(loop, checkpoints)

    monkeypatch.setattr(TrainingLoop, "write", recording)
    second = new_loop(process_group=ProcessGroup(rank=1))
    assert fit(second, VALIDATION, StopFlag(), Checkpoints(tmp_path, 0), lambda: None)
    assert positions == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert names(tmp_path) == []


def test_stop_before_the_first_step_writes_nothing(tmp_path: Path) -> None:
    stop = StopFlag()
    stop.requested = True
    assert not fit(new_loop(), VALIDATION, stop, Checkpoints(tmp_path, 10), lambda: None)
    assert names(tmp_path) == []


def test_best_model_is_saved_as_soon_as_it_is_there() -> None:
    loop = new_loop(replace(HYPERPARAMETERS, epochs=20, patience=2))
    saved: list[int] = []
    save: Callable[[], None] = lambda: saved.append(len(loop.history))  # noqa: E731
    assert fit(loop, examples(64, 1, noise=1.0), StopFlag(), NO_CHECKPOINTS, save)
    assert saved == [1]


def test_memory_that_steps_free_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(training, "keep_freed_memory", lambda: kept.append(True))
    new_loop().run_epoch(StopFlag(), NO_CHECKPOINTS)
    assert kept


def test_new_memory_is_not_filled() -> None:
    set_up_torch(1)
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
