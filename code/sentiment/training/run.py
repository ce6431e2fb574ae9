"""A training run: data, n-gram model, pretraining, fine-tuning, and the results."""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from byoc.checkpoints import Checkpoint
from byoc.errors import DataError
from byoc.job import Job
from byoc.signals import NOTHING_TO_SAVE, Stopped
from byoc.version import version
from sentiment.data import datasets
from sentiment.data.channels import PRETRAINED_CHANNEL, is_pretraining
from sentiment.data.datasets import Datasets
from sentiment.evaluation import report
from sentiment.evaluation.metrics import evaluate_logits
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.artifact import Artifact, write_files
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.model.pretrained import PretrainedWeights
from sentiment.model.weighted_sum import cross_fitted_sum, fit_weights, weighted_sum
from sentiment.settings import NetworkSettings
from sentiment.text.unknown_share import measure_unknown_share
from sentiment.training import results
from sentiment.training.determinism import set_up_torch
from sentiment.training.fine_tuning import FineTuning, best_epoch, evaluate_sharded
from sentiment.training.ngram_results import NgramResults
from sentiment.training.pretraining import Pretraining
from sentiment.training.state import Setup
from sentiment.training.trainer import Trainer

logger = logging.getLogger(__name__)

MODELS = ("ngram", "lstm")
# One of so many reviews measures the perplexity in a job without labels.
_HELD_OUT_EVERY = 100


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A job after setup; its precision is not ``auto``."""

    job: Job
    data: Datasets
    settings: NetworkSettings
    ngrams: NgramResults
    trainer: FineTuning


def train(job: Job) -> None:
    """Train a model, from channels to report; with unlabeled reviews alone, pretrain a language model.

    Raises:
        Stopped: a stop was requested before the first step.
        UserError: the data or a checkpoint cannot be used, or a loss is not finite.
        OSError: a result cannot be written.
    """
    start = time.perf_counter()
    if is_pretraining(job.channels):
        pretrain_only(job)
        return
    try:
        run = setup(job)
    except Stopped as stopped:
        raise Stopped(str(stopped) or stop_message(job)) from None
    trainer, logits, is_stopped = run.trainer, {}, False
    if trainer.state.best is not None:
        write_model(run)  # a resumed job may have a new model folder
    try:
        trainer.fit(job.stop, job.checkpoints, lambda: write_model(run) if is_best(trainer) else None)
        logits = evaluate_test(run)
    except Stopped:
        is_stopped = True
    if trainer.state.best is not None:
        write_results(run, {"validation": trainer.state.best.logits, **logits})
        if job.process_group.rank == 0:
            report.write(job.opt_ml, time.perf_counter() - start)
    if is_stopped:
        logger.info("%s", stop_message(job, trainer))
    else:
        logger.info("done in %.0f s; the model is in %s", time.perf_counter() - start, job.opt_ml.model)


def is_best(trainer: FineTuning) -> bool:
    """Whether the last epoch is the best so far."""
    return best_epoch(trainer.state.history) == len(trainer.state.history)


def setup(job: Job) -> TrainingRun:
    """Load the data, pretrain, and create the trainer, all from the newest checkpoint if there is one.

    Raises:
        Stopped: a stop was requested on any process.
        UserError: the data or a checkpoint cannot be used.
        OSError: a checkpoint cannot be written.
    """
    hyperparameters = set_up_device(job)
    data = datasets.load(job)
    setup = make_setup(job, hyperparameters, data.fingerprint())
    checkpoint = load_checkpoint(job, setup)
    ngrams = NgramResults(job, data, hyperparameters)
    is_pretrained = checkpoint is not None and checkpoint.values["stage"] == FineTuning.stage
    history: list[Mapping[str, float]] = []
    pretrained = None
    if checkpoint is not None and is_pretrained:
        history = checkpoint.values["pretraining"]
    elif data.pretrained is not None:
        pretrained = data.pretrained.align(data.vocabulary)
    elif hyperparameters.pretraining_epochs > 0:
        corpora = [data.training.sequences, data.unlabeled.sequences]
        held_out = data.held_out["validation"].sequences
        pretraining = Pretraining(corpora, held_out, len(data.vocabulary), setup)
        pretrain(job, pretraining, checkpoint)
        history = pretraining.state.history
        pretrained = PretrainedWeights.of(data.vocabulary, pretraining.model).align(data.vocabulary)
    network, settings = build_network(hyperparameters, len(data.vocabulary), pretrained)
    network.to(job.process_group.device)
    validation, ngram_logits = data.held_out["validation"], ngrams.logits["validation"]
    trainer = FineTuning(network, data.training, validation, ngram_logits, setup, history)
    if checkpoint is not None and is_pretrained:
        trainer.restore(checkpoint)
    return TrainingRun(job, data, settings, ngrams, trainer)


def make_setup(job: Job, hyperparameters: Hyperparameters, fingerprints: Mapping[str, str]) -> Setup:
    """Settings of the stages; a resumed job must share the fingerprints of its data, too."""
    processes = {"processes": job.process_group.size, "device": job.process_group.device.type}
    config = {**hyperparameters.fingerprint_fields(), **fingerprints, **processes}
    return Setup(hyperparameters, job.process_group, config)


def set_up_device(job: Job) -> Hyperparameters:
    """Prepare torch; the hyperparameters with a precision that the device supports.

    Raises:
        TrainingError: the device does not support the precision.
    """
    hyperparameters: Hyperparameters = job.hyperparameters
    hardware = Hardware.from_device(job.process_group.device)
    hyperparameters = replace(hyperparameters, precision=hardware.resolve(hyperparameters.precision))
    set_up_torch(hyperparameters.seed)
    logger.info("version %s; on %s; %s", version(), hardware.name, hyperparameters)
    return hyperparameters


def load_checkpoint(job: Job, setup: Setup) -> Checkpoint | None:
    """Rank 0's newest checkpoint, on every process.

    Raises:
        CheckpointError: it was written with another configuration.
    """
    content = job.process_group.broadcast(job.checkpoints.newest() if job.process_group.rank == 0 else None)
    if content is None:
        return None
    checkpoint = Checkpoint.from_bytes(content)
    checkpoint.check(setup.config)
    return checkpoint


def pretrain(job: Job, trainer: Pretraining, checkpoint: Checkpoint | None) -> None:
    """Pretrain a language model, from a checkpoint of this stage if there is one.

    Raises:
        Stopped: a stop was requested on any process.
        TrainingError: a loss is not finite.
        OSError: a checkpoint cannot be written.
    """
    if checkpoint is not None:
        trainer.restore(checkpoint)
    try:
        trainer.fit(job.stop, job.checkpoints)
    except Stopped:
        raise Stopped(stop_message(job, trainer)) from None


def build_network(
    hyperparameters: Hyperparameters, vocab_size: int, pretrained: Mapping[str, Tensor] | None
) -> tuple[SentimentLSTM, NetworkSettings]:
    """The network, with pretrained tensors of embedding and LSTM if there are any, and its settings."""
    settings = NetworkSettings(
        vocab_size=vocab_size,
        embedding_dim=hyperparameters.embedding_dim,
        hidden_dim=hyperparameters.hidden_dim,
        pooling=hyperparameters.pooling,
    )
    torch.manual_seed(hyperparameters.seed)  # whether or not this process has pretrained
    dropouts = (hyperparameters.dropout, hyperparameters.embedding_dropout, hyperparameters.word_dropout)
    network = SentimentLSTM(settings, *dropouts)
    if pretrained is not None:
        network.load_state_dict({**network.state_dict(), **pretrained})
    return network, settings


def evaluate_test(run: TrainingRun) -> dict[str, NDArray[np.float32]]:
    """The best network's logits on the channel ``test``, by set name; empty without this channel.

    Raises:
        Stopped: a stop was requested on any process.
    """
    if "test" not in run.data.held_out:
        return {}
    sequences = run.data.held_out["test"].sequences
    network = run.trainer.load_best()
    return {"test": evaluate_sharded(network, sequences, run.job.process_group, run.job.stop)}


def write_model(run: TrainingRun, metrics: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write the artifact of the best epoch; returns the summary that ``metrics.json`` also gets.

    ``metrics`` are JSON-serializable values by name; by default the accuracy of the best epoch.
    """
    trainer, data = run.trainer, run.data
    best, history = trainer.state.best, trainer.state.history
    assert best is not None
    validation = data.held_out["validation"]
    logits = np.vstack([run.ngrams.logits["validation"], best.logits])
    fitted = fit_weights(logits, validation.labels).astype(np.float32)
    *ngram_weight, lstm_weight, intercept = fitted
    weights = {
        **best.weights,
        "linear.weight": best.weights["linear.weight"] * lstm_weight,
        "linear.bias": best.weights["linear.bias"] * lstm_weight + intercept,
    }
    summary = {
        "best_epoch": best_epoch(history),
        "epochs": history,
        "pretraining": trainer.values["pretraining"],
        "weights": dict(zip((*MODELS[-len(logits) :], "intercept"), fitted.tolist(), strict=True)),
        **(metrics or {}),
    }
    training = {
        "hyperparameters": asdict(trainer.hyperparameters),
        "hardware": Hardware.from_device(run.job.process_group.device).name,
        "reviews": {"training": len(data.training.labels), "unlabeled": len(data.unlabeled.labels)},
        **summary,
    }
    ngram_model = run.ngrams.model and run.ngrams.model.scaled(float(ngram_weight[0]))
    unknown_share = measure_unknown_share(
        data.training.sequences, data.unlabeled.sequences, len(data.vocabulary)
    )
    artifact = Artifact(
        weights, data.vocabulary, run.settings, data.text, training, ngram_model, unknown_share
    )
    run.job.write_artifact(partial(write_files, artifact))
    return summary


def write_results(run: TrainingRun, lstm_logits: Mapping[str, NDArray[np.float32]]) -> None:
    """Write model, metrics and predictions from the network's logits on held-out sets, by set name."""
    held_out = {name: run.data.held_out[name] for name in lstm_logits}
    columns = {name: np.vstack([run.ngrams.logits[name], logits]) for name, logits in lstm_logits.items()}

    def calibrate(name: str, models: slice) -> NDArray[np.float32]:
        """Calibrated logits of some of the models; nobody may be judged by weights fitted to it."""
        if name == "validation":
            return cross_fitted_sum(columns[name][models], held_out[name].labels, held_out[name].groups)
        weights = fit_weights(columns["validation"][models], held_out["validation"].labels)
        return weighted_sum(columns[name][models], weights)

    logits = {name: calibrate(name, slice(None)) for name in held_out}
    metrics: dict[str, Any] = {"parts": {}}
    for name, examples in held_out.items():
        values = evaluate_logits(logits[name], examples.labels)
        run.job.report_metrics(**{f"{name}_{key}": value for key, value in asdict(values).items()})
        metrics[name] = results.to_json(values)
        parts = MODELS if len(columns[name]) == len(MODELS) else ()
        metrics["parts"][name] = {
            part: results.to_json(evaluate_logits(calibrate(name, slice(i, i + 1)), examples.labels))
            for i, part in enumerate(parts)
        }
    summary = write_model(run, metrics)
    if run.job.process_group.rank == 0:
        output, base = run.job.opt_ml.output_data, run.job.opt_ml.base / "input" / "data"
        results.write_metrics(output, summary | {"files": run.data.files})
        results.write_predictions(output, base, held_out, logits, run.data.sources)


def stop_message(job: Job, trainer: Trainer | None = None) -> str:
    """One line about the progress of a stopped job; without a trainer if it was stopped during setup."""
    folder = job.checkpoints.folder
    missing = f"no checkpoint: {job.opt_ml.checkpoints} does not exist"
    resume = f"the same job resumes from {folder}" if folder else missing
    if trainer is None or trainer.state.position == (0, 0):
        return f"stopped before the next step; {resume}" if job.checkpoints.exist else NOTHING_TO_SAVE
    has_model = trainer.state.best is not None
    model = f"the best model so far is in {job.opt_ml.model}" if has_model else "no model yet"
    if trainer.is_finished:
        return f"stopped after {trainer.stage}; {model}; {resume}"
    return (
        f"stopped in epoch {len(trainer.state.history) + 1} of {trainer.stage} after "
        f"{trainer.state.batches_done} of {trainer.state.batches_per_epoch} batches; {model}; {resume}"
    )


def pretrain_only(job: Job) -> None:
    """Pretrain a language model on the channel ``unlabeled``, for the channel ``pretrained`` of later jobs.

    Raises:
        UserError: the reviews or a checkpoint cannot be used, or a loss is not finite.
        Stopped: a stop was requested on any process.
        OSError: the language model cannot be written.
    """
    hyperparameters = set_up_device(job)
    if hyperparameters.pretraining_epochs == 0:
        raise DataError("a job with unlabeled reviews alone pretrains; set pretraining_epochs above 0")
    vocabulary, reviews = datasets.load_unlabeled(job)
    setup = make_setup(job, hyperparameters, {"unlabeled data": datasets.fingerprint(reviews)})
    checkpoint = load_checkpoint(job, setup)
    indices = np.arange(len(reviews))
    is_held_out = indices % _HELD_OUT_EVERY == 0
    training, held_out = (reviews.take(indices[mask]) for mask in (~is_held_out, is_held_out))
    trainer = Pretraining([training], held_out, len(vocabulary), setup)
    pretrain(job, trainer, checkpoint)
    if job.process_group.rank == 0:
        PretrainedWeights.of(vocabulary, trainer.model).save(job.opt_ml.model)
    logger.info("done; the language model for a channel %s is in %s", PRETRAINED_CHANNEL, job.opt_ml.model)
