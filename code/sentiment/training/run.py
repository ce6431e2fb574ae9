"""A training run: data, warm start, network and trainer; then model, metrics, predictions and report."""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc.checkpoints import Checkpoint
from byoc.job import Job
from byoc.signals import NOTHING_TO_SAVE, Stopped
from byoc.version import version
from sentiment.data import datasets
from sentiment.data.channels import PRETRAINED_CHANNEL, is_pretraining
from sentiment.data.datasets import Datasets
from sentiment.embeddings.store import WordVectors
from sentiment.embeddings.word2vec import WORD2VEC_EPOCHS, train_word2vec
from sentiment.evaluation import report
from sentiment.evaluation.metrics import Metrics, evaluate_logits
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.artifact import Artifact, write_files
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.settings import NetworkSettings
from sentiment.text.unknown_words import measure_unknown_share
from sentiment.training import results
from sentiment.training.loader import Targets
from sentiment.training.memory import set_up_torch
from sentiment.training.stage_cache import StageCache
from sentiment.training.trainer import Trainer, evaluate_sharded
from sentiment.training.warm_start import WarmStart, create_warm_start, training_sequences

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A job after setup; its precision is not ``auto``."""

    job: Job
    hyperparameters: Hyperparameters
    data: Datasets
    settings: NetworkSettings
    trainer: Trainer


def train(job: Job) -> None:
    """Train a model, from channels to report; with unlabeled reviews alone, train embeddings.

    Raises:
        Stopped: a stop was requested before the first step.
        UserError: the data or a checkpoint cannot be used, or a loss is not finite.
        OSError: a result cannot be written.
    """
    start = time.perf_counter()
    if is_pretraining(job.channels):
        train_embeddings(job)
        return
    try:
        run = setup(job)
    except Stopped:
        raise Stopped(stop_message(job)) from None
    trainer, logits, is_stopped = run.trainer, {}, False
    trainer.save(job.checkpoints)  # the warm start may have taken minutes
    if job.process_group.rank == 0:
        StageCache(job.checkpoints.folder).clear()
    if trainer.state.best is not None:
        write_model(run)  # a resumed job may have a new model folder
    try:
        trainer.fit(run.data.held_out["validation"], job.stop, job.checkpoints, lambda: write_model(run))
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


def setup(job: Job) -> TrainingRun:
    """Load the data and create the trainer, from the newest checkpoint if there is one.

    Raises:
        Stopped: a stop was requested on any process.
        UserError: the data or a checkpoint cannot be used.
        OSError: a stage of the warm start cannot be written.
    """
    hyperparameters = set_up_device(job)
    data = datasets.load(
        job.channels, hyperparameters, job.opt_ml.sharded_channels(), job.process_group, job.stop
    )
    config = {
        **hyperparameters.fingerprint_fields(),
        **data.fingerprint(),
        "processes": job.process_group.size,
        "device": job.process_group.device.type,
    }
    checkpoint = load_checkpoint(job, config)
    if checkpoint is not None:
        warm_start = WarmStart.from_checkpoint(checkpoint)
    else:
        stages = StageCache(job.checkpoints.folder, config)
        warm_start = create_warm_start(data, hyperparameters, job.process_group, job.stop, stages)
    data = data.insert_ngrams(warm_start.ngrams)
    network, settings = build_network(hyperparameters, len(data.vocabulary), warm_start)
    sequences = training_sequences(data, hyperparameters)
    targets = Targets(sequences, warm_start.probabilities, warm_start.ngram_scores)
    trainer = Trainer(
        network.to(job.process_group.device),
        targets,
        hyperparameters,
        job.process_group,
        config,
        warm_start.to_checkpoint_tensors(),
    )
    if checkpoint is not None:
        trainer.restore(checkpoint)
    elif hyperparameters.has_warm_start:
        trainer.saved = None
    return TrainingRun(job, hyperparameters, data, settings, trainer)


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


def load_checkpoint(job: Job, config: Mapping[str, Any]) -> Checkpoint | None:
    """Rank 0's newest checkpoint, on every process.

    Raises:
        CheckpointError: it was written with another configuration.
    """
    content = job.process_group.broadcast(job.checkpoints.newest() if job.process_group.rank == 0 else None)
    if content is None:
        return None
    checkpoint = Checkpoint.from_bytes(content)
    checkpoint.check(config)
    return checkpoint


def build_network(
    hyperparameters: Hyperparameters, vocab_size: int, warm_start: WarmStart
) -> tuple[SentimentLSTM, NetworkSettings]:
    """The network, initialized from the warm start, and its settings."""
    settings = NetworkSettings(
        vocab_size=vocab_size,
        embedding_dim=hyperparameters.embedding_dim,
        hidden_dim=hyperparameters.hidden_dim,
        pooling=hyperparameters.pooling,
        ngram_scores=warm_start.ngram_scores is not None,
    )
    dropouts = (hyperparameters.dropout, hyperparameters.embedding_dropout, hyperparameters.word_dropout)
    network = SentimentLSTM(settings, *dropouts)
    network.initialize_from(warm_start.vectors)
    if warm_start.ngram_scores is not None:
        scores, _, slope, intercept = warm_start.ngram_scores
        network.initialize_from(None, scores[-1], slope.item(), intercept.item())
    return network, settings


def evaluate_test(run: TrainingRun) -> dict[str, NDArray[np.float32]]:
    """The best model's logits on the channel ``test``, by set name; empty without this channel.

    Raises:
        Stopped: a stop was requested on any process.
    """
    if "test" not in run.data.held_out:
        return {}
    sequences = run.data.held_out["test"].sequences
    network = run.trainer.state.load_best()
    return {"test": evaluate_sharded(network, sequences, run.job.process_group, run.job.stop)}


def write_model(run: TrainingRun, metrics: Mapping[str, Metrics] | None = None) -> dict[str, Any]:
    """Write the artifact of the best epoch; returns the summary that ``metrics.json`` also gets.

    ``metrics`` are by set name; by default those of the validation set.
    """
    state, data = run.trainer.state, run.data
    assert state.best is not None
    if metrics is None:
        metrics = {"validation": evaluate_logits(state.best.logits, data.held_out["validation"].labels)}
    summary = results.summarize(state.history, metrics) | {"temperature": state.best.temperature}
    training = {
        "hyperparameters": asdict(run.hyperparameters),
        "hardware": Hardware.from_device(run.job.process_group.device).name,
        "reviews": {"training": len(data.training.labels), "unlabeled": len(data.unlabeled.labels)},
        **summary,
    }
    unknown_share = measure_unknown_share(
        data.training.sequences, data.unlabeled.sequences, len(data.vocabulary)
    )
    artifact = Artifact(state.best.weights, data.vocabulary, run.settings, data.text, training, unknown_share)
    run.job.write_artifact(partial(write_files, artifact))
    return summary


def write_results(run: TrainingRun, logits: Mapping[str, NDArray[np.float32]]) -> None:
    """Write model, metrics and predictions from the calibrated logits of held-out sets, by set name."""
    held_out = {name: run.data.held_out[name] for name in logits}
    metrics = {name: evaluate_logits(logits[name], examples.labels) for name, examples in held_out.items()}
    for name, values in metrics.items():
        run.job.report_metrics(**{f"{name}_{key}": value for key, value in asdict(values).items()})
    summary = write_model(run, metrics)
    if run.job.process_group.rank == 0:
        output, base = run.job.opt_ml.output_data, run.job.opt_ml.base / "input" / "data"
        results.write_metrics(output, summary | {"files": run.data.files})
        results.write_predictions(output, base, held_out, logits, run.data.word_counts, run.data.sources)


def stop_message(job: Job, trainer: Trainer | None = None) -> str:
    """One line about the progress of a stopped job; without a trainer if it was stopped during setup."""
    folder = job.checkpoints.folder
    missing = f"no checkpoint: {job.opt_ml.checkpoints} does not exist"
    resume = f"the same job resumes from {folder}" if folder else missing
    if trainer is None or trainer.state.position == (0, 0):
        has_progress = job.checkpoints.exist or StageCache(folder).exists
        return f"stopped before the next step; {resume}" if has_progress else NOTHING_TO_SAVE
    epochs, batches = trainer.state.position
    model = f"the best model so far is in {job.opt_ml.model}" if epochs else "no model: no epoch is finished"
    if trainer.is_finished:
        return f"stopped before the evaluation of the channel test; {model}; {resume}"
    return (
        f"stopped in epoch {epochs + 1} after {batches} of {trainer.state.batches_per_epoch} batches; "
        f"{model}; {resume}"
    )


def train_embeddings(job: Job) -> None:
    """Train word2vec embeddings on the channel ``unlabeled``, for a channel of later jobs.

    Raises:
        DataError: the reviews cannot be used.
        Stopped: a stop was requested on any process.
        OSError: the embeddings cannot be written.
    """
    hyperparameters: Hyperparameters = job.hyperparameters
    logger.info("version %s; embeddings only; %s", version(), hyperparameters)
    if hyperparameters.embedding_init == "documents":
        logger.warning("embedding_init=documents needs labeled reviews; this job uses word2vec")
    vocabulary, reviews = datasets.load_unlabeled(
        job.channels, hyperparameters, job.opt_ml.sharded_channels(), job.process_group, job.stop
    )
    shape, seed = (len(vocabulary), hyperparameters.embedding_dim), hyperparameters.seed
    is_main = job.process_group.rank == 0
    vectors = job.process_group.run_interruptible(
        job.stop,
        lambda: train_word2vec([reviews], shape, WORD2VEC_EPOCHS, seed) if is_main else None,
    )
    if vectors is not None:
        WordVectors(vocabulary, vectors).save(job.opt_ml.model)
    logger.info("done; embeddings for a channel %s are in %s", PRETRAINED_CHANNEL, job.opt_ml.model)
