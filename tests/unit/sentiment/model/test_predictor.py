"""Predictions of a loaded model."""

from pathlib import Path

import numpy as np
import pytest

from byoc.errors import ArtifactError
from sentiment.model.artifact import load_artifact
from sentiment.model.predictor import Predictor
from tests.support.reference_text import reference_words

FORMAT_1 = Path(__file__).parents[3] / "support" / "artifact_format_1"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(FORMAT_1)


def test_format_1_loads() -> None:
    artifact = load_artifact(FORMAT_1)
    assert artifact.network.hidden_dim == 4
    assert len(artifact.vocabulary) == artifact.network.vocab_size == 102


def test_format_1_predictions_are_unchanged(predictor: Predictor) -> None:
    good, bad = predictor.predict(["A great, great film. I love it!", "The worst film. A bad, bad waste."])
    assert (good["label"], bad["label"]) == ("positive", "negative")
    np.testing.assert_allclose([good["probability"], bad["probability"]], [0.962518, 0.082267], atol=1e-5)


def test_predictions_keep_order(predictor: Predictor) -> None:
    texts = ["great " * n + "bad " * m for n in range(8) for m in range(8)]
    together = [prediction["probability"] for prediction in predictor.predict(texts)]
    alone = [predictor.predict([text])[0]["probability"] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_tokens_match_reference(predictor: Predictor) -> None:
    artifact = load_artifact(FORMAT_1)
    text = "It's <b>great</b>, isn't it? I cannot say it's bad."
    expected = artifact.vocabulary.ids(reference_words(text, artifact.text.stop_words))
    assert predictor._ids(text) == expected


def test_empty_text_is_predicted(predictor: Predictor) -> None:
    assert 0 < predictor.predict(["!!!"])[0]["probability"] < 1


def test_no_texts_give_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_label_follows_probability_of_positive(predictor: Predictor) -> None:
    for result in predictor.predict(["great", "worst", "film", ""]):
        assert (result["label"] == "positive") == (result["probability"] > 0.5)


def test_missing_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no trained model"):
        Predictor.load(tmp_path)
