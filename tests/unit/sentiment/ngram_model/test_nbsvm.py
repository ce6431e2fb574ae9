"""NBSVM."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from byoc.errors import DataError
from sentiment.ngram_model.features import NgramFeatures
from sentiment.ngram_model.nbsvm import NBSVM, log_count_ratios
from sentiment.settings import PSEUDO_COUNT
from sentiment.text.sequences import Examples, Sequences
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE, examples

TEST = examples(200)


@pytest.fixture(scope="module")
def model() -> NBSVM:
    return NBSVM.fit(TRAINING, VOCAB_SIZE, 10**6)


def to_texts(sequences: Sequences) -> list[str]:
    return [" ".join(map(str, sequences[i])) for i in range(len(sequences))]


def test_logits_match_the_paper(model: NBSVM) -> None:
    """Wang and Manning's formula on explicit features, with scikit-learn's counts and regression."""
    vectorizer = CountVectorizer(
        ngram_range=(1, 3), binary=True, min_df=2, tokenizer=str.split, token_pattern=None, lowercase=False
    )
    counts = vectorizer.fit_transform(to_texts(TRAINING.sequences)).toarray().astype(float)
    positive, negative = (counts[TRAINING.labels == label].sum(0) + 1 for label in (1, 0))
    ratios = np.log((positive / positive.sum()) / (negative / negative.sum()))
    expected = LogisticRegression(max_iter=10_000, tol=1e-8).fit(counts * ratios, TRAINING.labels)
    held_out = vectorizer.transform(to_texts(TEST.sequences)).toarray() * ratios
    factor = (200 + PSEUDO_COUNT) / (12 + PSEUDO_COUNT)  # all reviews have 12 words
    # The default tolerance of the regression leaves 0.3 %.
    logits = factor * expected.decision_function(held_out)
    np.testing.assert_allclose(model.logits(TEST.sequences), logits, rtol=0.01)


def test_log_count_ratios_of_four_reviews() -> None:
    matrix = sparse.csr_array(np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]], np.float32))
    # Counts plus one: positive 3, 2, 1 of 6; negative 2, 1, 3 of 6.
    ratios = log_count_ratios(matrix, np.array([1, 1, 0, 0], np.int8))
    np.testing.assert_allclose(ratios, np.log([3 / 2, 2, 1 / 3]), rtol=1e-6)


def test_order_of_words_is_learned(model: NBSVM) -> None:
    assert ((model.logits(TEST.sequences) > 0) == TEST.labels).all()
    # Both words occur in every review, so that single words cannot separate the classes.
    unigrams = NgramFeatures(model.features.keys[:VOCAB_SIZE], VOCAB_SIZE)
    assert (unigrams.keys < VOCAB_SIZE).sum() == 28
    assert (unigrams.transform(TEST.sequences).toarray()[:, :2] == 1).all()


@pytest.mark.parametrize("length", [0, 1, 50, 200, 1_000])
def test_logit_depends_on_length(length: int) -> None:
    model = NBSVM(NgramFeatures(np.array([5]), 20), np.array([1.5], np.float32), 0.5)
    logit = 0.5 if length == 0 else 2.0
    expected = logit * (200 + PSEUDO_COUNT) / (length + PSEUDO_COUNT)
    assert model.logits(Sequences.from_lists([[5] * length])).tolist() == pytest.approx([expected])


def test_empty_review_has_intercept_only(model: NBSVM) -> None:
    (logit,) = model.logits(Sequences.from_lists([[]])).tolist()
    assert logit == pytest.approx(model.intercept * (200 + PSEUDO_COUNT) / PSEUDO_COUNT)


def test_no_reviews_have_no_logits(model: NBSVM) -> None:
    assert model.logits(Sequences.from_lists([])).shape == (0,)


def test_logits_are_independent_of_batch(model: NBSVM) -> None:
    alone = [model.logits(TEST.sequences.take(np.array([i])))[0] for i in range(20)]
    assert model.logits(TEST.sequences)[:20].tolist() == pytest.approx(alone, abs=1e-5)


def test_scaled_model_scales_logits(model: NBSVM) -> None:
    expected = 0.4 * model.logits(TEST.sequences)
    np.testing.assert_allclose(model.scaled(0.4).logits(TEST.sequences), expected, atol=1e-5)


def test_max_ngrams_limits_the_table() -> None:
    model = NBSVM.fit(TRAINING, VOCAB_SIZE, 10)
    assert len(model.features.keys) == len(model.coefficients) == 10
    # Every review has both words; half of the reviews have them in one order.
    assert {2, 3, 2 + VOCAB_SIZE * 3, 3 + VOCAB_SIZE * 2} < set(model.features.keys.tolist())


def test_tensors_have_compact_types(model: NBSVM) -> None:
    assert model.features.keys.dtype == np.int64
    assert model.coefficients.dtype == np.float32
    assert isinstance(model.intercept, float)


def test_no_common_ngram_is_an_error() -> None:
    training = Examples(Sequences.from_lists([[2, 3], [4], []]), np.array([0, 1, 1], np.int8))
    with pytest.raises(DataError, match=r"no two reviews share a word.*\n.*set ngram_weight=0"):
        NBSVM.fit(training, 20, 10**6)
