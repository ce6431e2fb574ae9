"""The training loop and fine-tuning, on words that reveal the label."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import TrainingError
from byoc.signals import StopFlag, Stopped
from sentiment.evaluation.metrics import log_loss
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.model.weighted_sum import cross_fitted_sum
from sentiment.settings import NetworkSettings
from sentiment.text.sequences import Examples, Sequences
from sentiment.training import fine_tuning
from sentiment.training import trainer as trainer_module
from sentiment.training.determinism import set_up_torch
from sentiment.training.fine_tuning import FineTuning, best_epoch
from sentiment.training.state import Setup
from sentiment.training.trainer import Trainer

HYPERPARAMETERS = Hyperparameters(epochs=4, batch_size=16, learning_rate=0.02, patience=4, precision="fp32")


def examples(count: int, seed: int, noise: float = 0.0) -> Examples:
    """Reviews of random words; id 2 is in every positive review and id 3 in every negative review."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count).astype(np.int8)
    ids = [generator.integers(4, 30, generator.integers(3, 20)).tolist() for _ in range(count)]
    for words, label in zip(ids, labels, strict=True):
        words[0] = 2 if label == (generator.random() >= noise) else 3
    return Examples(Sequences.from_lists(ids), labels, np.arange(count, dtype=np.uint64))


TRAINING, VALIDATION = examples(320, 0), examples(64, 1)
CONTRADICTING = examples(64, 1, noise=1.0)  # every epoch raises its loss
NO_CHECKPOINTS = Checkpoints(Path("missing"), 1)


def new_trainer(
    hyperparameters: Hyperparameters = HYPERPARAMETERS,
    process_group: ProcessGroup = SINGLE_PROCESS,
    validation: Examples = VALIDATION,
    pretraining_epochs: int = 0,
) -> FineTuning:
    set_up_torch(hyperparameters.seed)
    network = SentimentLSTM(NetworkSettings(30, 8, 8, "max"), 0.1, 0.1)
    no_ngram_model = np.empty((0, len(validation.labels)), np.float32)
    setup = Setup(hyperparameters, process_group, {"seed": hyperparameters.seed})
    history = [{"pretraining_epoch": epoch + 1.0} for epoch in range(pretraining_epochs)]
    return FineTuning(network, TRAINING, validation, no_ngram_model, setup, history)


def train(
    hyperparameters: Hyperparameters = HYPERPARAMETERS, validation: Examples = VALIDATION
) -> FineTuning:
    trainer = new_trainer(hyperparameters, validation=validation)
    trainer.fit(StopFlag(), NO_CHECKPOINTS)
    return trainer


def best_weights(trainer: FineTuning) -> dict[str, bytes]:
    assert trainer.state.best is not None
    return {name: array.tobytes() for name, array in trainer.state.best.weights.items()}


def checkpoint_of(trainer: Trainer) -> Checkpoint:
    return trainer.state.to_checkpoint(trainer.config, trainer.values)


@pytest.fixture(scope="module")
def trained() -> FineTuning:
    return train()


def test_accuracy_rises(trained: FineTuning) -> None:
    assert trained.state.history[-1]["validation_accuracy"] > 0.95


def test_equal_seeds_give_equal_weights(trained: FineTuning) -> None:
    assert best_weights(train()) == best_weights(trained)


def test_seeds_give_different_weights(trained: FineTuning) -> None:
    assert best_weights(train(replace(HYPERPARAMETERS, seed=2))) != best_weights(trained)


def test_best_epoch_is_kept() -> None:
    trainer = train(replace(HYPERPARAMETERS, patience=2), CONTRADICTING)
    state, best = trainer.state, best_epoch(trainer.state.history)
    assert best < len(state.history)
    assert state.best is not None
    logits = evaluate(trainer.load_best(), CONTRADICTING.sequences)
    np.testing.assert_allclose(logits, state.best.logits, rtol=1e-5)
    calibrated = cross_fitted_sum(logits[None], CONTRADICTING.labels, CONTRADICTING.groups)
    loss = state.history[best - 1]["validation_loss"]
    assert log_loss(calibrated, CONTRADICTING.labels) == pytest.approx(loss, rel=1e-4)


def test_ngram_logits_count_in_validation() -> None:
    trainer = new_trainer(replace(HYPERPARAMETERS, epochs=1, learning_rate=1e-8))
    trainer.ngram_logits = np.where(VALIDATION.labels == 1, 3, -3).astype(np.float32)[None]
    trainer.fit(StopFlag(), NO_CHECKPOINTS)
    assert trainer.state.history[0]["validation_accuracy"] == 1


def test_patience_stops_early() -> None:
    history = train(replace(HYPERPARAMETERS, epochs=20, patience=2), CONTRADICTING).state.history
    assert len(history) == best_epoch(history) + 2


def test_epoch_is_logged_in_plain_decimals(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="sentiment")
    train(replace(HYPERPARAMETERS, epochs=1))
    number = r"\d+\.\d{4};"
    pattern = (
        rf"epoch=1; train_loss={number} validation_loss={number} validation_accuracy={number} "
        r"reviews_per_second=\d+;"
    )
    assert [record for record in caplog.messages if re.fullmatch(pattern, record)]


def test_nan_validation_loss_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = np.full(len(VALIDATION.labels), np.nan, np.float32)
    monkeypatch.setattr(fine_tuning, "evaluate", lambda *_: nan)
    with pytest.raises(TrainingError, match="the validation loss is nan in epoch 1 of training\n"):
        train()


def test_nan_training_loss_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(_network: SentimentLSTM, _ids: object, lengths: torch.Tensor) -> torch.Tensor:
        return torch.full((len(lengths),), torch.nan, requires_grad=True)

    monkeypatch.setattr(SentimentLSTM, "forward", forward)
    with pytest.raises(
        TrainingError, match="the training loss is nan in epoch 1 of training\nuse a learning"
    ):
        train()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_bar_needs_terminal(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    train(replace(HYPERPARAMETERS, epochs=1))
    assert ("training, epoch 1/1" in capsys.readouterr().err) == is_terminal


def stop_after(trainer: Trainer, steps: int) -> None:
    """Train, with a stop requested during the last of these steps."""
    stop = StopFlag()
    step, remaining = trainer.state.optimization.step, iter(range(1, steps))

    def counting(losses: Any, number: int) -> torch.Tensor:
        stop.requested = next(remaining, None) is None
        return step(losses, number)

    trainer.state.optimization.step = counting  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        trainer.fit(stop, NO_CHECKPOINTS)


def test_stop_completes_the_step() -> None:
    trainer = new_trainer()
    stop_after(trainer, 27)
    assert trainer.state.position == Position(1, 7)


def test_stop_skips_validation() -> None:
    trainer = new_trainer()
    stop_after(trainer, 20)
    assert trainer.state.position == Position(0, 20)


@pytest.mark.parametrize("steps", [1, 19, 20, 21, 53])
def test_resumed_training_is_bit_identical(steps: int, trained: FineTuning) -> None:
    first = new_trainer()
    stop_after(first, steps)
    content = checkpoint_of(first).to_bytes()
    second = new_trainer()
    second.restore(Checkpoint.from_bytes(content))
    second.fit(StopFlag(), NO_CHECKPOINTS)
    assert best_weights(second) == best_weights(trained)
    losses = [[epoch["train_loss"] for epoch in each.state.history] for each in (second, trained)]
    assert losses[0] == losses[1]


def test_finished_training_is_not_continued(trained: FineTuning) -> None:
    second = new_trainer()
    second.restore(checkpoint_of(trained))
    second.state.optimization.step = None  # type: ignore[assignment, method-assign]
    second.fit(StopFlag(), NO_CHECKPOINTS)
    assert trained.state.best is not None
    assert second.state.best is not None
    assert np.array_equal(second.state.best.logits, trained.state.best.logits)


def names(folder: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in folder.iterdir())


def test_every_epoch_writes_a_checkpoint(tmp_path: Path) -> None:
    new_trainer().fit(StopFlag(), Checkpoints(tmp_path, 10))
    assert names(tmp_path)[-2:] == ["checkpoint-00003-00000000", "checkpoint-00004-00000000"]


def test_due_checkpoint_is_written(tmp_path: Path) -> None:
    trainer = new_trainer()
    stop = StopFlag()
    checkpoints = Checkpoints(tmp_path, 0)
    write = checkpoints.write

    def stop_then(checkpoint: Checkpoint, best_epoch: int) -> None:
        stop.requested = checkpoint.position == (0, 2)
        write(checkpoint, best_epoch)

    checkpoints.write = stop_then  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        trainer.fit(stop, checkpoints)
    assert names(tmp_path) == ["checkpoint-00000-00000002", "checkpoint-00000-00000003"]


def test_only_rank_0_writes_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    positions: list[Position] = []
    save = Trainer.save

    def recording(trainer: Trainer, checkpoints: Checkpoints) -> None:
        positions.append(trainer.state.position)
        save(trainer, checkpoints)

    monkeypatch.setattr(Trainer, "save", recording)
    new_trainer(process_group=ProcessGroup(rank=1)).fit(StopFlag(), Checkpoints(tmp_path, 0))
    assert positions == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert names(tmp_path) == []


def test_stop_before_first_step_writes_nothing(tmp_path: Path) -> None:
    stop = StopFlag()
    stop.requested = True
    with pytest.raises(Stopped):
        new_trainer().fit(stop, Checkpoints(tmp_path, 10))
    assert names(tmp_path) == []


def test_positions_count_pretraining_epochs(tmp_path: Path) -> None:
    new_trainer(pretraining_epochs=3).fit(StopFlag(), Checkpoints(tmp_path, 10))
    assert names(tmp_path)[-1] == "checkpoint-00007-00000000"


def test_checkpoint_of_best_epoch_is_kept(tmp_path: Path) -> None:
    hyperparameters = replace(HYPERPARAMETERS, epochs=20, patience=4)
    trainer = new_trainer(hyperparameters, validation=CONTRADICTING, pretraining_epochs=3)
    trainer.fit(StopFlag(), Checkpoints(tmp_path, 10))
    best = 3 + best_epoch(trainer.state.history)
    assert f"checkpoint-{best:05}-00000000" in names(tmp_path)


def test_every_epoch_is_announced() -> None:
    trainer = new_trainer()
    finished: list[int] = []
    trainer.fit(StopFlag(), NO_CHECKPOINTS, lambda: finished.append(len(trainer.state.history)))
    assert finished == [1, 2, 3, 4]


def test_micro_batches_keep_the_loss() -> None:
    trainer = new_trainer()
    trainer.network.eval()
    (whole, *_) = trainer.steps()
    trainer.micro_batch_tokens = 40
    (split, *_) = trainer.steps()
    assert len(whole.losses) < len(split.losses)
    losses = [sum(loss().item() for loss in step.losses) for step in (whole, split)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_fp32_halves_micro_batches() -> None:
    bf16 = new_trainer(replace(HYPERPARAMETERS, precision="bf16"))
    assert 2 * new_trainer().micro_batch_tokens == bf16.micro_batch_tokens


def test_epoch_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    monkeypatch.setattr(trainer_module, "keep_freed_memory", lambda: calls.append(True))
    new_trainer().train_epoch(StopFlag(), NO_CHECKPOINTS)
    assert calls
