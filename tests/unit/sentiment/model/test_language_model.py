"""The language model: loss, perplexity, and its file."""

import errno
import io
import tarfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from byoc.artifact import write_artifact
from byoc.errors import ArtifactError, DataError
from sentiment.model.artifact import VOCABULARY_FILE, Artifact, write_files
from sentiment.model.language_model import (
    END_ID,
    LANGUAGE_MODEL_FILE,
    LanguageModel,
    PretrainedWeights,
    load_pretrained,
)
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import Vocabulary
from sentiment.training.pretraining import CandidateSampler

VOCAB_SIZE = 30
COUNTS = np.random.default_rng(0).geometric(0.02, VOCAB_SIZE)
EVERYTHING = torch.arange(VOCAB_SIZE), torch.zeros(VOCAB_SIZE)


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(COUNTS, 5, 7)
    with torch.no_grad():
        model.embedding.weight.normal_()  # far from uniform predictions
        model.projection.weight.normal_()
    return model


def make_batch(time: int = 4, batch: int = 3) -> tuple[Tensor, Tensor]:
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, VOCAB_SIZE, (time + 1, batch)))
    return tokens[:-1], tokens[1:]


def softmax_logits(model: LanguageModel, inputs: Tensor) -> Tensor:
    """[time, batch, vocab_size] logits of the full softmax."""
    hidden = model.projection(model.lstm(model.embedding(inputs))[0])
    return functional.linear(hidden, model.embedding.weight, model.bias_embedding.weight[:, 0])


def test_all_candidates_equal_full_softmax(model: LanguageModel) -> None:
    inputs, targets = make_batch()
    loss, _ = model(inputs, targets, *EVERYTHING, None)
    expected = functional.cross_entropy(softmax_logits(model, inputs).flatten(0, 1), targets.flatten())
    assert expected > 3  # not a trivial case
    torch.testing.assert_close(loss, expected)


def test_all_candidates_equal_full_gradient(model: LanguageModel) -> None:
    inputs, targets = make_batch()
    loss, _ = model(inputs, targets, *EVERYTHING, None)
    softmax = functional.cross_entropy(softmax_logits(model, inputs).flatten(0, 1), targets.flatten())
    parameters = list(model.parameters())
    actual, expected = (torch.autograd.grad(value, parameters) for value in (loss, softmax))
    torch.testing.assert_close(actual, expected)


def test_order_of_candidates_is_irrelevant(model: LanguageModel) -> None:
    inputs, targets = make_batch()
    loss, _ = model(inputs, targets, *EVERYTHING, None)
    backward, _ = model(inputs, targets, EVERYTHING[0].flip(0), EVERYTHING[1], None)
    torch.testing.assert_close(loss, backward)


def inverse_probability(model: LanguageModel, *, corrected: bool, samples: int = 10) -> float:
    """Mean of 1 / p(target) over the draws of an even grid, as estimated from samples."""
    sampler, (inputs, targets) = CandidateSampler(COUNTS, samples), make_batch(1, 1)
    values = []
    for u in (np.arange(1_000) + 0.5) / 1_000:
        candidates = torch.from_numpy(sampler.sample(u))
        log_inclusion = sampler.log_inclusion[candidates] * corrected
        with torch.inference_mode():
            values.append(float(model(inputs, targets, candidates, log_inclusion, None)[0].exp()))
    return float(np.mean(values))


def test_sampled_normalizer_is_unbiased(model: LanguageModel) -> None:
    # exp(loss) is the normalizer over the target's share of it. As a function of the draw it is constant
    # between at most 30 jumps, each of which costs a grid of 1,000 points a thousandth of its height: less
    # than 1 % of the value.
    loss, _ = model(*make_batch(1, 1), *EVERYTHING, None)
    expected = loss.exp().item()
    assert inverse_probability(model, corrected=True) == pytest.approx(expected, rel=0.01)
    assert inverse_probability(model, corrected=False) < 0.8 * expected


def test_sampled_loss_approaches_full_softmax(model: LanguageModel) -> None:
    """The logarithm of an unbiased estimate is too low, by less with more samples."""
    inputs, targets = make_batch(20, 5)
    gaps = []
    with torch.inference_mode():
        expected, _ = model(inputs, targets, *EVERYTHING, None)
        for samples in (2, 5, 10, 20):
            sampler, losses = CandidateSampler(COUNTS, samples), []
            for u in (np.arange(100) + 0.5) / 100:
                candidates = torch.from_numpy(sampler.sample(u))
                loss, _ = model(inputs, targets, candidates, sampler.log_inclusion[candidates], None)
                losses.append(float(loss))
            gaps.append(float(expected) - float(np.mean(losses)))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.1
    assert 0 < gaps[-1] < 0.01


def test_target_counts_exactly_once(model: LanguageModel) -> None:
    inputs, targets = make_batch(1, 1)
    without = EVERYTHING[0][EVERYTHING[0] != targets.item()]
    loss, _ = model(inputs, targets, without, torch.zeros(VOCAB_SIZE - 1), None)
    torch.testing.assert_close(loss, model(inputs, targets, *EVERYTHING, None)[0])


def test_target_ignores_its_inclusion(model: LanguageModel) -> None:
    inputs, targets = make_batch(1, 1)
    log_inclusion = torch.zeros(VOCAB_SIZE)
    log_inclusion[targets] = -5.0
    loss, _ = model(inputs, targets, EVERYTHING[0], log_inclusion, None)
    assert torch.equal(loss, model(inputs, targets, *EVERYTHING, None)[0])


def test_state_continues_the_batch(model: LanguageModel) -> None:
    inputs, targets = make_batch(6)
    whole, last_state = model(inputs, targets, *EVERYTHING, None)
    first, state = model(inputs[:2], targets[:2], *EVERYTHING, None)
    second, state = model(inputs[2:], targets[2:], *EVERYTHING, state)
    torch.testing.assert_close((2 * first + 4 * second) / 6, whole)
    torch.testing.assert_close(state, last_state)
    assert not state[0].requires_grad


def test_bias_starts_at_log_frequencies() -> None:
    counts = np.array([10, 0, 60, 30])
    bias = LanguageModel(counts, 2, 3).bias_embedding.weight[:, 0].tolist()
    assert bias == pytest.approx(np.log([0.1, 0.01, 0.6, 0.3]).tolist())


def test_end_token_has_random_embedding() -> None:
    assert LanguageModel(COUNTS, 5, 7).embedding.weight[END_ID].all()


def without_memory(probabilities: list[float]) -> LanguageModel:
    """A model that predicts tokens with these probabilities in any context."""
    model = LanguageModel(np.ones(len(probabilities), np.int64), 2, 3)
    with torch.no_grad():
        model.projection.weight.zero_()
        model.projection.bias.zero_()
        model.bias_embedding.weight.copy_(torch.tensor(probabilities).log()[:, None])
    return model


def test_perplexity_of_known_probabilities() -> None:
    # "2 3" and its end, then an empty review's end: 1/2, 1/8, 1/4 and 1/4.
    model = without_memory([1 / 4, 1 / 8, 1 / 2, 1 / 8])
    perplexity = model.perplexity(Sequences.from_lists([[2, 3], []]), None)
    assert perplexity == pytest.approx((2 * 8 * 4 * 4) ** (1 / 4))


def test_perplexity_restarts_each_review(model: LanguageModel) -> None:
    reviews = [[5, 6, 7], [8], [6, 9, 5, 5]]
    total = 0.0
    for review in reviews:
        tokens = torch.tensor([END_ID, *review, END_ID])[:, None]
        logits = softmax_logits(model, tokens[:-1])[:, 0]
        total += functional.cross_entropy(logits, tokens[1:, 0], reduction="sum").item()
    expected = np.exp(total / 11)
    assert model.perplexity(Sequences.from_lists(reviews), None) == pytest.approx(expected, rel=1e-5)


def test_perplexity_needs_few_logits_at_once(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = Sequences.from_lists([[5, 6, 7, 8, 9, 4], [8]])
    expected = model.perplexity(reviews, None)
    monkeypatch.setattr("sentiment.model.language_model._EVALUATION_LOGITS", 2 * VOCAB_SIZE)
    forward = Mock(wraps=model.forward)
    monkeypatch.setattr(model, "forward", forward)
    assert model.perplexity(reviews, None) == pytest.approx(expected, rel=1e-5)
    assert [len(call.args[0]) for call in forward.call_args_list] == [2, 2, 2, 1, 2]


def test_overflowing_perplexity_is_infinite() -> None:
    model = without_memory([0.5, 0.0, 0.5])
    with torch.no_grad():
        model.bias_embedding.weight[1] = -2_000.0
    assert model.perplexity(Sequences.from_lists([[1]]), None) == np.inf


VOCABULARY = Vocabulary(["good", "not", "film"])
SETTINGS = NetworkSettings(vocab_size=5, embedding_dim=2, hidden_dim=3, pooling="mean-max")


def make_weights() -> dict[str, NDArray[np.float32]]:
    """Distinct values for all tensors of the network."""
    generator = np.random.default_rng(0)
    shapes = SETTINGS.tensor_shapes().items()
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes}


WEIGHTS = make_weights()
SHARED = {name: array for name, array in WEIGHTS.items() if not name.startswith("linear")}
PRETRAINED = PretrainedWeights(VOCABULARY, SHARED)


def load(folder: Path) -> PretrainedWeights:
    return load_pretrained(folder, 2, 3)


def is_same(loaded: PretrainedWeights, weights: Mapping[str, NDArray[np.float32]] = SHARED) -> bool:
    return (
        loaded.vocabulary.words == VOCABULARY.words
        and loaded.weights.keys() == weights.keys()
        and all(np.array_equal(loaded.weights[name], weights[name]) for name in weights)
    )


def save_artifact(folder: Path, package: str = "sentiment") -> None:
    artifact = Artifact(WEIGHTS, VOCABULARY, SETTINGS, TextSettings([], 5, "tail"), {})
    write_artifact(folder, package, partial(write_files, artifact))


def archive(folder: Path, target: Path, prefix: str = "") -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz") as content:
        for path in sorted(folder.iterdir()):
            content.add(path, prefix + path.name)


def test_weights_of_model_are_shared_ones() -> None:
    model = LanguageModel(np.ones(5, np.int64), 2, 3)
    weights = PretrainedWeights.of(VOCABULARY, model).weights
    assert {name: array.shape for name, array in weights.items()} == {
        name: array.shape for name, array in SHARED.items()
    }
    assert np.array_equal(weights["embedding.weight"], model.embedding.weight.detach().numpy())


def test_saved_weights_load_unchanged(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path / "new" / "folder")
    assert is_same(load(tmp_path / "new" / "folder"))


def test_language_model_replaces_trained_model(tmp_path: Path) -> None:
    save_artifact(tmp_path)
    PRETRAINED.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "artifact.json",
        "language_model.safetensors",
        "vocabulary.json",
    ]
    assert is_same(load(tmp_path))


def test_trained_model_replaces_language_model(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path)
    save_artifact(tmp_path)
    assert not (tmp_path / LANGUAGE_MODEL_FILE).exists()
    assert is_same(load(tmp_path))


@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive_is_loaded(tmp_path: Path, prefix: str) -> None:
    PRETRAINED.save(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz", prefix)
    assert is_same(load(tmp_path / "channel"))


def test_trained_model_is_loaded(tmp_path: Path) -> None:
    save_artifact(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz")
    assert is_same(load(tmp_path / "channel"))
    assert is_same(load(tmp_path / "model"))


def test_other_archive_members_are_not_extracted(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path / "model")
    path = tmp_path / "channel" / "model.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as content:
        for name in ("../escaped", LANGUAGE_MODEL_FILE + "/../../escaped", str(tmp_path / "escaped")):
            member = tarfile.TarInfo(name)
            member.size = 1
            content.addfile(member, io.BytesIO(b"x"))
        for file in sorted((tmp_path / "model").iterdir()):
            content.add(file, file.name)
    assert is_same(load(tmp_path / "channel"))
    assert not list(tmp_path.rglob("escaped"))


def test_archive_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    with tarfile.open(tmp_path / "channel" / "model.tar.gz", "w:gz") as content:
        member = tarfile.TarInfo(LANGUAGE_MODEL_FILE)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(member)
    with pytest.raises(ArtifactError, match=r"model\.tar\.gz has neither"):
        load(tmp_path / "channel")


def test_truncated_archive_is_rejected(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path / "model")
    path = tmp_path / "channel" / "model.tar.gz"
    archive(tmp_path / "model", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        load(tmp_path / "channel")


def test_full_disk_raises_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PRETRAINED.save(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz")
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", Mock(side_effect=full))
    with pytest.raises(OSError, match="No space left"):
        load(tmp_path / "channel")


def test_empty_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has neither a language model nor a trained model"):
        load(tmp_path)


def test_other_packages_model_is_rejected(tmp_path: Path) -> None:
    save_artifact(tmp_path, "tfidf")
    with pytest.raises(ArtifactError, match="made by package 'tfidf'"):
        load(tmp_path)


def save_tensors(folder: Path, tensors: dict[str, Any]) -> None:
    """Save a language model with any tensors."""
    PretrainedWeights(VOCABULARY, tensors).save(folder)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("embedding.weight", None),
        ("lstm.bias_hh_l0", None),
        ("extra", np.zeros(1)),
        ("embedding.weight", np.zeros(5)),
        ("embedding.weight", np.zeros((5, 0))),
        ("embedding.weight", np.zeros((6, 2))),  # of another vocabulary
        ("lstm.weight_hh_l0", np.zeros(12)),
        ("lstm.weight_ih_l0", np.zeros((12, 3))),
    ],
)
def test_unexpected_tensors_are_rejected(
    tmp_path: Path, name: str, tensor: NDArray[np.float64] | None
) -> None:
    tensors: dict[str, Any] = SHARED | {name: tensor}
    save_tensors(tmp_path, {name: array for name, array in tensors.items() if array is not None})
    with pytest.raises(ArtifactError, match=r"language_model\.safetensors is damaged") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [LANGUAGE_MODEL_FILE, VOCABULARY_FILE])
def test_damaged_file_is_rejected(tmp_path: Path, name: str) -> None:
    PRETRAINED.save(tmp_path)
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match=rf"{name} is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["embedding.weight", "lstm.bias_hh_l0"])
def test_nonfinite_weights_are_rejected(tmp_path: Path, name: str, value: float) -> None:
    array = SHARED[name].copy()
    array.flat[-1] = value
    save_tensors(tmp_path, SHARED | {name: array})
    with pytest.raises(ArtifactError, match="values that are not finite"):
        load(tmp_path)


def test_vocabulary_of_another_job_is_rejected(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path)
    Vocabulary(["not", "good", "film"]).save(tmp_path / VOCABULARY_FILE)
    with pytest.raises(ArtifactError, match=r"vocabulary\.json is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("dimensions", [(2, 128), (128, 3)])
@pytest.mark.parametrize("save", [PRETRAINED.save, save_artifact])
def test_other_dimensions_are_rejected(
    tmp_path: Path, dimensions: tuple[int, int], save: Callable[[Path], None]
) -> None:
    save(tmp_path)
    message = f"embedding_dim=2 and hidden_dim=3, expected {dimensions[0]} and {dimensions[1]}\nset both"
    with pytest.raises(DataError, match=message):
        load_pretrained(tmp_path, *dimensions)


def test_align_looks_up_words() -> None:
    tensors = PRETRAINED.align(Vocabulary(["film", "new", "good"]))
    old = SHARED["embedding.weight"]
    assert tensors["embedding.weight"].tolist() == [
        [0, 0],  # padding
        old[1].tolist(),  # unknown token
        old[4].tolist(),  # film
        old[1].tolist(),  # new: as the unknown token
        old[2].tolist(),  # good
    ]


def test_align_keeps_other_tensors() -> None:
    tensors = PRETRAINED.align(Vocabulary(["film"]))
    assert tensors.keys() == SHARED.keys()
    for name in SHARED.keys() - {"embedding.weight"}:
        assert np.array_equal(tensors[name].numpy(), SHARED[name])


def test_align_copies_the_weights() -> None:
    before = {name: array.copy() for name, array in SHARED.items()}
    for tensor in PRETRAINED.align(VOCABULARY).values():
        tensor.zero_()
    assert is_same(PRETRAINED, before)


def test_fingerprint_depends_on_weights_and_words() -> None:
    changed = {name: array + 1 if name == "lstm.bias_hh_l0" else array for name, array in SHARED.items()}
    others = (
        PretrainedWeights(VOCABULARY, changed),
        PretrainedWeights(Vocabulary(["bad", "not", "film"]), SHARED),
    )
    assert len({PRETRAINED.fingerprint(), *(other.fingerprint() for other in others)}) == 3
