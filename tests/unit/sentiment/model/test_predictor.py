"""Predictions of a loaded model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byoc.errors import ArtifactError
from sentiment.evaluation.metrics import sigmoid
from sentiment.model.artifact import Artifact, load_artifact
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.model.precision import Hardware
from sentiment.model.predictor import Predictor
from sentiment.text.sequences import Sequences
from tests.support.reference_text import reference_words

FORMAT_1 = Path(__file__).parents[3] / "support" / "artifact_format_1"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(FORMAT_1)


def test_format_1_loads() -> None:
    artifact = load_artifact(FORMAT_1)
    assert artifact.network.hidden_dim == 4
    assert artifact.ngram_model is not None
    assert len(artifact.ngram_model.coefficients) == 300
    assert len(artifact.vocabulary) == artifact.network.vocab_size == 102


def test_format_1_predictions_are_unchanged(predictor: Predictor) -> None:
    good, bad = predictor.predict(["A great, great film. I love it!", "The worst film. A bad, bad waste."])
    assert (good["label"], bad["label"]) == ("positive", "negative")
    np.testing.assert_allclose([good["probability"], bad["probability"]], [0.976582, 0.170441], atol=1e-5)


TEXTS = ["A great, great film. I love it!", "The worst film. A bad, bad waste.", "film"]


def network_logits() -> np.ndarray:
    """Logits of the fixture's network for ``TEXTS``, without the predictor."""
    artifact = load_artifact(FORMAT_1)
    network = SentimentLSTM(artifact.network)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in artifact.weights.items()})
    return evaluate(network, sequences())


def sequences() -> Sequences:
    artifact = load_artifact(FORMAT_1)
    words = [reference_words(text, artifact.text.stop_words) for text in TEXTS]
    return Sequences.from_lists([artifact.vocabulary.ids(text) for text in words])


def test_logits_of_both_models_are_added(predictor: Predictor) -> None:
    ngram_model = load_artifact(FORMAT_1).ngram_model
    assert ngram_model is not None
    expected = sigmoid(network_logits() + ngram_model.logits(sequences()))
    actual = [prediction["probability"] for prediction in predictor.predict(TEXTS)]
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_network_alone_needs_no_ngrams() -> None:
    predictor = Predictor(replace(load_artifact(FORMAT_1), ngram_model=None))
    actual = [prediction["probability"] for prediction in predictor.predict(TEXTS)]
    np.testing.assert_allclose(actual, sigmoid(network_logits()), atol=1e-6)
    assert not np.allclose(
        actual, [result["probability"] for result in Predictor.load(FORMAT_1).predict(TEXTS)]
    )


def test_unknown_words_are_counted(predictor: Predictor) -> None:
    results = predictor.predict(["great film zyzzyva qwertz", "great", "", "zyzzyva"])
    assert [result["_unknown_share"] for result in results] == [0.5, 0, 0, 1]
    assert predictor.metrics(results) == {"unknown_share": 0.375}


def test_predictions_keep_order(predictor: Predictor) -> None:
    texts = ["great " * n + "bad " * m for n in range(8) for m in range(8) if n + m]
    together = [prediction["probability"] for prediction in predictor.predict(texts)]
    alone = [predictor.predict([text])[0]["probability"] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_tokens_match_reference(predictor: Predictor) -> None:
    artifact = load_artifact(FORMAT_1)
    text = "It's <b>great</b>, isn't it? I cannot say it's bad."
    expected = artifact.vocabulary.ids(reference_words(text, artifact.text.stop_words))
    assert predictor._encode(text)[0].tolist() == expected


@pytest.mark.parametrize("text", ["", "!!!", "\U0001f600", "Фильм", "zzyzx qqqq"])
def test_text_without_known_word_has_no_label(predictor: Predictor, text: str) -> None:
    (result,) = predictor.predict([text])
    assert {key: result[key] for key in ("label", "score", "probability", "warning")} == {
        "label": None,
        "score": None,
        "probability": None,
        "warning": "no known word",
    }


def test_score_is_that_of_the_label(predictor: Predictor) -> None:
    good, bad = predictor.predict(["great", "bad"])
    assert (good["label"], good["score"]) == ("positive", good["probability"])
    assert (bad["label"], bad["score"]) == ("negative", pytest.approx(1 - bad["probability"], abs=2e-6))


def test_truncated_text_is_marked(predictor: Predictor) -> None:
    most = load_artifact(FORMAT_1).text.max_length
    texts = ["great " * most, "great " * (most + 1), "great" + " " * 19_995, "great" + " " * 20_000]
    assert [result.get("truncated", False) for result in predictor.predict(texts)] == [False, True] * 2


def test_rest_of_a_long_text_is_ignored(predictor: Predictor) -> None:
    start = "great" + "." * 20_000
    whole, cut = predictor.predict([start + "worst", start])
    assert whole["probability"] == cut["probability"]


@pytest.fixture(scope="module")
def strict() -> Predictor:
    """A model of reviews in which few words were unknown."""
    return Predictor(replace(load_artifact(FORMAT_1), unknown_share={"50": 0.0, "99.9": 0.1}))


def test_many_unknown_words_are_a_warning(strict: Predictor) -> None:
    (result,) = strict.predict(["great " + "qqqq " * 5])
    assert (result["label"], result["warning"]) == ("positive", "83 % unknown words")


@pytest.mark.parametrize("text", ["great", "great qqqq", "qqqq great film", "great " * 18 + "qqqq " * 2])
def test_short_or_ordinary_text_has_no_warning(strict: Predictor, text: str) -> None:
    assert "warning" not in strict.predict([text])[0]


def predict_in_bf16(monkeypatch: pytest.MonkeyPatch, artifact: Artifact, text: str) -> dict[str, Any]:
    """The result of a predictor that uses bf16, on any CPU."""
    monkeypatch.setattr(Hardware, "resolve", lambda *_: "bf16")
    (result,) = Predictor(artifact, precision="auto").predict([text])
    return result


def test_overflow_is_predicted_in_float32(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(*arguments: Any, dtype: torch.dtype | None = None) -> Any:
        logits = evaluate(*arguments)
        return logits if dtype is None else logits * np.inf

    (expected,) = predictor.predict(["great"])
    monkeypatch.setattr("sentiment.model.predictor.evaluate", overflow)
    assert predict_in_bf16(monkeypatch, load_artifact(FORMAT_1), "great") == expected


def test_weight_beyond_precision_needs_float32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    artifact = load_artifact(FORMAT_1)
    embedding = artifact.weights["embedding.weight"].copy()
    embedding[0] = np.finfo(np.float32).max
    changed = replace(artifact, weights={**artifact.weights, "embedding.weight": embedding})
    predict_in_bf16(monkeypatch, changed, "great")
    assert "the network runs in float32" in caplog.text


def test_logit_that_is_not_finite_raises(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.model.predictor.evaluate", lambda *_, **__: np.array([np.nan], np.float32))
    with pytest.raises(ValueError, match="not finite"):
        predictor.predict(["great"])


def test_no_texts_give_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_label_follows_probability_of_positive(predictor: Predictor) -> None:
    for result in predictor.predict(["great", "bad", "film"]):
        assert (result["label"] == "positive") == (result["probability"] > 0.5)


def test_missing_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no trained model"):
        Predictor.load(tmp_path)
