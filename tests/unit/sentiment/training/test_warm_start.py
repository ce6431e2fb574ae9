"""The warm start of training."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from byoc.checkpoints import Checkpoint, Position
from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.signals import StopFlag, Stopped
from sentiment.data import datasets
from sentiment.data.datasets import Datasets
from sentiment.embeddings.documents import DocumentVectors
from sentiment.embeddings.store import WordVectors
from sentiment.hyperparameters import Hyperparameters
from sentiment.text.ngrams import Keys, encode_ngram
from sentiment.text.sequences import Examples, Sequences
from sentiment.training import warm_start as warm_start_module
from sentiment.training.stage_cache import StageCache
from sentiment.training.warm_start import WarmStart, create_warm_start, training_sequences
from tests.unit.sentiment.data.test_datasets import REVIEWS, channels

PLAIN = Hyperparameters(
    batch_size=8, embedding_dim=4, embedding_init="random", max_ngrams=0, ngram_init="none"
)
SOFT_LABELS = replace(PLAIN, soft_label_weight=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    folder = tmp_path_factory.mktemp("channels")
    unlabeled = [(f"another film good {i}", "1") for i in range(20)]
    pairs = [(f"movie{i} was {'not ' if i % 2 else ''}good", str(1 - i % 2)) for i in range(40)]
    unlabeled += [(f"series{i} was not good", "0") for i in range(5)]
    held_out = [("it was not good", "0"), ("it was good", "1")]
    return datasets.load(
        channels(folder, training=REVIEWS + pairs, validation=held_out, unlabeled=unlabeled), PLAIN
    )


def make(data: Datasets, hyperparameters: Hyperparameters) -> WarmStart:
    return create_warm_start(data, hyperparameters, SINGLE_PROCESS, StopFlag())


def test_plain_job_has_no_warm_start(data: Datasets) -> None:
    warm_start = make(data, PLAIN)
    assert warm_start.vectors is None
    assert warm_start.probabilities.tolist() == data.training.labels.tolist()
    assert not PLAIN.has_warm_start


def test_soft_labels_add_unlabeled_reviews(data: Datasets) -> None:
    sequences, warm_start = training_sequences(data, SOFT_LABELS), make(data, SOFT_LABELS)
    assert len(sequences) == len(warm_start.probabilities) == len(data.training.labels) + 25
    assert (warm_start.probabilities[-25:-5] > 0.5).all()
    assert SOFT_LABELS.has_warm_start


def test_hard_labels_exclude_unlabeled_reviews(data: Datasets) -> None:
    assert len(training_sequences(data, PLAIN)) == len(data.training.labels)


@pytest.mark.parametrize("embedding_init", ["word2vec", "documents"])
def test_embeddings_cover_unlabeled_words(data: Datasets, embedding_init: str) -> None:
    vectors = make(data, replace(PLAIN, embedding_init=embedding_init)).vectors
    assert vectors is not None
    assert vectors.shape == (len(data.vocabulary), 4)
    assert vectors[data.vocabulary.ids(["another"])[0]].any()


def test_stop_interrupts_warm_start(data: Datasets) -> None:
    stop = StopFlag()
    stop.requested = True
    with pytest.raises(Stopped):
        create_warm_start(data, SOFT_LABELS, SINGLE_PROCESS, stop)


def test_targets_are_deterministic(data: Datasets) -> None:
    assert np.array_equal(make(data, SOFT_LABELS).probabilities, make(data, SOFT_LABELS).probabilities)


def test_validation_reviews_are_not_used(tmp_path: Path) -> None:
    unlabeled = [(text, "0") for text, _ in REVIEWS]
    data = datasets.load(channels(tmp_path, training=REVIEWS, unlabeled=unlabeled), SOFT_LABELS)
    held_out = {tuple(data.held_out["validation"].sequences[i]) for i in range(5)}
    sequences = training_sequences(data, SOFT_LABELS)
    known = {tuple(sequences[i]) for i in range(len(sequences))}
    # Had one been read elsewhere, its film's name would be a known word on both sides.
    assert len(data.unlabeled.labels) == len(data.training.labels)
    assert held_out.isdisjoint(known)


WITH_ALL = replace(
    PLAIN,
    embedding_init="word2vec",
    max_ngrams=4,
    ngram_init="regression",
    pooling="mean",
    soft_label_weight=0.25,
)
WITH_DOCUMENTS = replace(WITH_ALL, embedding_init="documents")


def test_ngrams_have_vectors_and_scores(data: Datasets) -> None:
    warm_start = make(data, WITH_ALL)
    assert warm_start.ngrams
    ids = len(data.vocabulary) + len(warm_start.ngrams)
    assert len(data.insert_ngrams(warm_start.ngrams).vocabulary) == ids
    assert warm_start.vectors is not None
    assert warm_start.vectors.shape == (ids, 4)
    assert warm_start.ngram_scores is not None
    assert warm_start.ngram_scores.scores.shape[1] == ids


def test_ngrams_are_inserted_everywhere(data: Datasets) -> None:
    ngrams = make(data, WITH_ALL).ngrams
    more = data.insert_ngrams(ngrams)
    assert len(more.training.sequences.ids) > len(data.training.sequences.ids)
    assert len(more.unlabeled.sequences.ids) > len(data.unlabeled.sequences.ids)
    assert len(more.held_out["validation"].sequences.ids) > len(data.held_out["validation"].sequences.ids)
    assert more.word_counts["validation"].sum() == len(data.held_out["validation"].sequences.ids)


def test_unlabeled_reviews_have_ngram_scores(data: Datasets) -> None:
    warm_start = make(data, WITH_ALL)
    count = len(data.training.labels) + len(data.unlabeled.labels)
    assert len(training_sequences(data, WITH_ALL)) == len(warm_start.probabilities) == count
    assert warm_start.ngram_scores is not None
    assert len(warm_start.ngram_scores.fold) == count


def test_hard_labels_score_labeled_reviews(data: Datasets) -> None:
    warm_start = make(data, replace(WITH_ALL, soft_label_weight=0))
    assert warm_start.probabilities.tolist() == data.training.labels.tolist()
    assert warm_start.ngram_scores is not None
    assert len(warm_start.ngram_scores.fold) == len(data.training.labels)


def test_document_vectors_improve_soft_labels(data: Datasets, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sentiment")
    with_vectors = make(data, WITH_DOCUMENTS).probabilities
    assert "n-gram model with document vectors: out-of-fold accuracy" in caplog.text
    assert not np.array_equal(with_vectors, make(data, WITH_ALL).probabilities)


def test_document_vectors_initialize_embeddings(data: Datasets, monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[list[int]] = []

    def learn(reviews: Sequences, keys: Keys, *_: int) -> DocumentVectors:
        requested.append(keys.tolist())
        vectors = np.arange(len(keys), dtype=np.float32)[:, None].repeat(4, 1)
        return DocumentVectors(np.ones((len(reviews), 4), np.float32), vectors)

    monkeypatch.setattr(warm_start_module, "train_document_vectors", learn)
    warm_start = make(data, WITH_DOCUMENTS)
    base = len(data.vocabulary)
    ngrams = [encode_ngram(data.vocabulary.ids(ngram.split()), base) for ngram in warm_start.ngrams]
    assert requested == [[*range(base), *ngrams]]
    assert warm_start.vectors is not None
    assert warm_start.vectors[:, 0].tolist() == list(range(base + len(ngrams)))


@pytest.mark.parametrize(("hyperparameters", "times"), [(PLAIN, 0), (WITH_ALL, 0), (SOFT_LABELS, 1)])
def test_pretrained_vectors_skip_unneeded_documents(
    data: Datasets, monkeypatch: pytest.MonkeyPatch, hyperparameters: Hyperparameters, times: int
) -> None:
    requested: list[Keys] = []

    def learn(reviews: Sequences, keys: Keys, *_: int) -> DocumentVectors:
        requested.append(keys)
        return DocumentVectors(np.ones((len(reviews), 4), np.float32), np.zeros((len(keys), 4), np.float32))

    monkeypatch.setattr(warm_start_module, "train_document_vectors", learn)
    pretrained = WordVectors(data.vocabulary, np.ones((len(data.vocabulary), 4), np.float32))
    soft_label_weight = 0.5 if times else 0.0
    hyperparameters = replace(
        hyperparameters, embedding_init="documents", soft_label_weight=soft_label_weight
    )
    warm_start = make(replace(data, pretrained=pretrained), hyperparameters)
    assert len(requested) == times
    assert warm_start.vectors is not None
    assert (warm_start.vectors[2 : len(data.vocabulary)] == warm_start.vectors[2]).all()
    assert warm_start.vectors[2].any()


def test_labeled_reviews_use_document_vectors(data: Datasets) -> None:
    data = replace(data, unlabeled=Examples.empty())
    warm_start = make(data, WITH_DOCUMENTS)
    assert len(warm_start.probabilities) == len(data.training.labels)
    assert not np.array_equal(warm_start.probabilities, make(data, WITH_ALL).probabilities)


def test_movie_is_in_one_fold(data: Datasets) -> None:
    groups = np.arange(len(data.training.labels), dtype=np.uint64) // 3
    unlabeled_groups = np.arange(25, dtype=np.uint64) // 2
    data = replace(
        data,
        training=data.training._replace(groups=groups),
        unlabeled=data.unlabeled._replace(groups=unlabeled_groups),
    )
    ngram_scores = make(data, WITH_ALL).ngram_scores
    assert ngram_scores is not None
    every = np.concatenate([groups, unlabeled_groups])
    pairs = set(zip(every.tolist(), ngram_scores.fold.tolist(), strict=True))
    assert len(pairs) == len(set(every.tolist()))


@pytest.mark.parametrize("hyperparameters", [WITH_ALL, WITH_DOCUMENTS], ids=["word2vec", "documents"])
def test_finished_stages_are_reused(
    data: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hyperparameters: Hyperparameters
) -> None:
    stages = StageCache(tmp_path, {})
    first = create_warm_start(data, hyperparameters, SINGLE_PROCESS, StopFlag(), stages)
    monkeypatch.setattr(warm_start_module, "train_word2vec", None)
    monkeypatch.setattr(warm_start_module, "train_document_vectors", None)
    restored = create_warm_start(data, hyperparameters, SINGLE_PROCESS, StopFlag(), stages)
    for name, array in first.to_arrays().items():
        assert restored.to_arrays()[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("hyperparameters", [WITH_ALL, WITH_DOCUMENTS], ids=["word2vec", "documents"])
def test_other_ngrams_invalidate_vectors(
    data: Datasets, tmp_path: Path, hyperparameters: Hyperparameters
) -> None:
    """N-grams may change under the same hyperparameters, with the movies or the version of the code."""
    stages = StageCache(tmp_path, {})
    first = create_warm_start(data, hyperparameters, SINGLE_PROCESS, StopFlag(), stages)
    fewer = replace(hyperparameters, max_ngrams=1)
    restored = create_warm_start(data, fewer, SINGLE_PROCESS, StopFlag(), stages)
    assert restored.ngrams != first.ngrams
    assert restored.vectors is not None
    assert len(restored.vectors) == len(data.vocabulary) + len(restored.ngrams)


@pytest.mark.parametrize(
    "hyperparameters", [PLAIN, SOFT_LABELS, WITH_ALL], ids=["none", "soft labels", "all"]
)
def test_arrays_round_trip(data: Datasets, hyperparameters: Hyperparameters) -> None:
    warm_start = make(data, hyperparameters)
    restored = WarmStart.from_arrays(warm_start.to_arrays())
    assert restored.ngrams == warm_start.ngrams
    assert np.array_equal(restored.probabilities, warm_start.probabilities)
    assert (restored.vectors is None) == (warm_start.vectors is None)
    assert (restored.ngram_scores is None) == (warm_start.ngram_scores is None)
    if restored.ngram_scores is not None and warm_start.ngram_scores is not None:
        assert restored.ngram_scores.scores.tobytes() == warm_start.ngram_scores.scores.tobytes()
        assert restored.ngram_scores.fold.tolist() == warm_start.ngram_scores.fold.tolist()
        assert restored.ngram_scores.slope == warm_start.ngram_scores.slope
        assert restored.ngram_scores.intercept == warm_start.ngram_scores.intercept


def test_checkpoint_omits_only_vectors(data: Datasets) -> None:
    warm_start = make(data, WITH_ALL)
    checkpoint = Checkpoint(Position(0, 0), {}, warm_start.to_checkpoint_tensors(), {})
    restored = WarmStart.from_checkpoint(checkpoint).to_arrays()
    assert warm_start.to_arrays().keys() - restored.keys() == {"vectors"}
    assert all(array.tobytes() == warm_start.to_arrays()[name].tobytes() for name, array in restored.items())
