"""The network: batching, pooling, dropout, initialization."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sentiment.evaluation.metrics import sigmoid
from sentiment.model.network import SentimentLSTM, evaluate, is_first_occurrence, to_tensors
from sentiment.settings import POOLING, PSEUDO_COUNT, NetworkSettings
from sentiment.text.batching import pad
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import PAD_ID, UNK_ID

GENERATOR = np.random.default_rng(0)
SEQUENCES = Sequences.from_lists(
    [GENERATOR.integers(2, 50, length).tolist() for length in [7, 1, 60, 0, 33, 5, 200, 3]]
)


@pytest.fixture(params=POOLING)
def network(request: pytest.FixtureRequest) -> SentimentLSTM:
    torch.manual_seed(0)
    return SentimentLSTM(NetworkSettings(50, 16, 32, request.param), 0.5, 0.5).eval()


def logits(network: SentimentLSTM, indices: list[int]) -> list[float]:
    batch = pad(SEQUENCES, np.array(indices))
    values: list[float] = network(*to_tensors(batch, torch.device("cpu"))).tolist()
    return values


def test_batch_does_not_change_logits(network: SentimentLSTM) -> None:
    together = logits(network, list(range(8)))
    alone = [logits(network, [i])[0] for i in range(8)]
    np.testing.assert_allclose(sigmoid(np.array(together)), sigmoid(np.array(alone)), atol=1e-5)


def test_order_does_not_change_logits(network: SentimentLSTM) -> None:
    forward, backward = logits(network, list(range(8))), logits(network, list(range(7, -1, -1)))
    np.testing.assert_allclose(sigmoid(np.array(forward)), sigmoid(np.array(backward[::-1])), atol=1e-5)


def test_padding_does_not_change_logits(network: SentimentLSTM) -> None:
    ids, lengths = to_tensors(pad(SEQUENCES, np.arange(8)), torch.device("cpu"))
    wider = torch.nn.functional.pad(ids, (0, 100))
    expected, actual = network(ids, lengths).detach(), network(wider, lengths).detach()
    np.testing.assert_allclose(sigmoid(actual.numpy()), sigmoid(expected.numpy()), atol=1e-5)


def test_pooling_ignores_padding(network: SentimentLSTM) -> None:
    outputs, lengths = torch.randn(5, 1, 32), torch.tensor([3])
    real = outputs[:3, 0]
    expected = {
        "last": real[-1],
        "mean": real.mean(0),
        "smoothed-mean": real.sum(0) / (3 + PSEUDO_COUNT["smoothed-mean"]),
        "max": real.amax(0),
    }[network.pooling]
    torch.testing.assert_close(network._pool(outputs, lengths)[0], expected)


@pytest.mark.parametrize(
    "lengths",
    [
        *([1], [63], [64], [65], [127], [128], [129], [200]),
        [64, 64],
        [65, 64, 63, 1],
        [128, 128, 127, 65, 64, 63, 2, 1],
        [129] * 40,
        [100] + [1] * 40,
        [192, 191, 190, 129, 128, 1, 1, 1],
    ],
    ids=str,
)
def test_chunks_do_not_change_logits(network: SentimentLSTM, lengths: list[int]) -> None:
    ids = [GENERATOR.integers(2, 50, length).tolist() for length in lengths]
    batch = to_tensors(pad(Sequences.from_lists(ids), np.arange(len(ids))), torch.device("cpu"))
    with torch.inference_mode():
        torch.testing.assert_close(network.forward_in_chunks(*batch), network(*batch), atol=1e-5, rtol=0)


def test_chunks_accept_padding_id_as_word(network: SentimentLSTM) -> None:
    batch = torch.zeros(2, 70, dtype=torch.int64), torch.tensor([70, 3])
    with torch.inference_mode():
        torch.testing.assert_close(network.forward_in_chunks(*batch), network(*batch), atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [[0], [0, 0, 0], [0, 64, 0, 65]], ids=str)
def test_empty_sequence_is_one_padding_token(network: SentimentLSTM, lengths: list[int]) -> None:
    ids = [GENERATOR.integers(2, 50, length).tolist() for length in lengths]
    padding = torch.zeros(1, 1, dtype=torch.int64), torch.tensor([1])
    with torch.inference_mode():
        expected = network(*padding).item()
    logits = evaluate(network, Sequences.from_lists(ids))
    np.testing.assert_allclose(logits[np.array(lengths) == 0], expected, atol=1e-5)


def test_no_sequences_give_no_logits(network: SentimentLSTM) -> None:
    assert evaluate(network, Sequences.from_lists([])).shape == (0,)


def test_chunks_drop_finished_sequences(network: SentimentLSTM) -> None:
    rows: list[int] = []
    network.lstm.register_forward_pre_hook(lambda _module, inputs: rows.append(inputs[0].shape[1]))
    batch = to_tensors(
        pad(Sequences.from_lists([[2] * 130, [2] * 70, [2] * 64, [2]]), np.arange(4)), torch.device("cpu")
    )
    with torch.inference_mode():
        network.forward_in_chunks(*batch)
    assert rows == [4, 2, 1]


def test_chunks_ignore_dropout(network: SentimentLSTM) -> None:
    network.train()
    batch = to_tensors(pad(SEQUENCES, np.array([6])), torch.device("cpu"))
    with torch.inference_mode():
        assert torch.equal(network.forward_in_chunks(*batch), network.forward_in_chunks(*batch))


def test_evaluate_keeps_order(network: SentimentLSTM) -> None:
    expected = [logits(network, [i])[0] for i in range(8)]
    np.testing.assert_allclose(evaluate(network, SEQUENCES, max_tokens=70), expected, atol=1e-5)


def test_evaluate_restores_training_mode(network: SentimentLSTM) -> None:
    network.train()
    evaluate(network, SEQUENCES)
    assert network.training


def test_evaluate_ignores_dropout(network: SentimentLSTM) -> None:
    network.train()
    assert np.array_equal(evaluate(network, SEQUENCES), evaluate(network, SEQUENCES))


def test_training_applies_dropout(network: SentimentLSTM) -> None:
    network.train()
    assert logits(network, [0]) != logits(network, [0])


def test_embedding_dropout_has_one_mask() -> None:
    settings = NetworkSettings(50, 16, 32, "max")
    network = SentimentLSTM(settings, embedding_dropout=0.5)
    seen: list[torch.Tensor] = []
    network.lstm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 40), 7), torch.tensor([40]))
    dropped = seen[0][:, 0] == 0
    assert 0 < dropped[0].sum() < 16
    assert (dropped == dropped[0]).all()


def test_padding_vector_is_zero(network: SentimentLSTM) -> None:
    assert not network.embedding.weight[0].any()


def test_forget_gate_starts_open(network: SentimentLSTM) -> None:
    assert (network.lstm.get_parameter("bias_ih_l0")[32:64] == 1).all()


def test_tensor_shapes_match_format(network: SentimentLSTM) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == NetworkSettings(50, 16, 32, "max").tensor_shapes()


def test_word_dropout_spares_padding() -> None:
    network = SentimentLSTM(NetworkSettings(50, 16, 32, "max"), word_dropout=0.3)
    ids = torch.full((100, 100), 7)
    ids[:, 90:] = PAD_ID
    dropped = network._drop_words(ids)
    assert (dropped[:, 90:] == PAD_ID).all()
    assert set(dropped[:, :90].flatten().tolist()) == {UNK_ID, 7}
    assert (dropped[:, :90] == UNK_ID).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_word_dropout_needs_training_mode() -> None:
    network = SentimentLSTM(NetworkSettings(50, 16, 32, "max"), word_dropout=0.9)
    ids = torch.full((1, 100), 7)
    assert torch.equal(network.eval()._drop_words(ids), ids)


def test_vectors_initialize_embeddings(network: SentimentLSTM) -> None:
    vectors = np.ones((50, 16), np.float32)
    network.initialize_from(vectors)
    assert (network.embedding.weight == 1).all()
    network.initialize_from()
    assert (network.embedding.weight == 1).all()


WEIGHTS = np.linspace(-3, 3, 50, dtype=np.float32)[np.random.default_rng(0).permutation(50)]
SLOPE, INTERCEPT = 2.5, -0.5


@pytest.fixture(params=PSEUDO_COUNT)
def with_ngram_scores(request: pytest.FixtureRequest) -> SentimentLSTM:
    """A network with the scores ``WEIGHTS``, without dropout."""
    network = SentimentLSTM(NetworkSettings(50, 16, 32, request.param, ngram_scores=True))
    network.initialize_from(None, WEIGHTS, SLOPE, INTERCEPT)
    return network


IDS = torch.tensor([[2, 5, 9, 5, 30, 2], [49, 48, 0, 0, 0, 0]])
LENGTHS = torch.tensor([6, 2])


def line(weights: NDArray[np.float32], pseudo_count: int = 0) -> list[float]:
    """Logits of ``IDS`` from the mean score of their tokens, each counted once."""
    sums = [float(weights[np.unique(ids[:n])].sum()) for ids, n in zip(IDS, LENGTHS, strict=True)]
    return [
        SLOPE * total / (n + pseudo_count) + INTERCEPT
        for total, n in zip(sums, LENGTHS.tolist(), strict=True)
    ]


def test_scores_initialize_logits(with_ngram_scores: SentimentLSTM) -> None:
    expected = line(WEIGHTS, PSEUDO_COUNT[with_ngram_scores.pooling])
    assert with_ngram_scores(IDS, LENGTHS).tolist() == pytest.approx(expected, rel=0.05)


def test_argument_replaces_embedded_scores(
    with_ngram_scores: SentimentLSTM,
) -> None:
    ngram_scores = torch.from_numpy(WEIGHTS[::-1].copy())[IDS]
    expected = line(WEIGHTS[::-1], PSEUDO_COUNT[with_ngram_scores.pooling])
    assert with_ngram_scores(IDS, LENGTHS, ngram_scores).tolist() == pytest.approx(expected, rel=0.05)
    scores = torch.from_numpy(WEIGHTS)[IDS]
    assert torch.equal(with_ngram_scores(IDS, LENGTHS, scores), with_ngram_scores(IDS, LENGTHS))


def test_first_occurrence_is_per_row() -> None:
    ids = torch.tensor([[3, 4, 3, 3, 0, 0], [4, 3, 5, 4, 3, 6]])
    assert is_first_occurrence(ids).int().tolist() == [[1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1]]


def test_chunks_count_tokens_once(with_ngram_scores: SentimentLSTM) -> None:
    ids = torch.from_numpy(np.random.default_rng(0).integers(2, 50, (2, 200)))
    lengths = torch.tensor([200, 90])
    ids[1, 90:] = PAD_ID
    expected = with_ngram_scores(ids, lengths)
    assert with_ngram_scores.forward_in_chunks(ids, lengths).tolist() == pytest.approx(
        expected.tolist(), abs=1e-4
    )
    without_scores = SentimentLSTM(NetworkSettings(50, 16, 32, with_ngram_scores.pooling))
    without_scores.load_state_dict(with_ngram_scores.state_dict())
    assert not torch.allclose(without_scores(ids, lengths), expected, atol=0.01)


def test_scores_have_no_dropout() -> None:
    network = SentimentLSTM(NetworkSettings(50, 16, 32, "mean", True), dropout=0.9, embedding_dropout=0.9)
    network.initialize_from(None, WEIGHTS, SLOPE, INTERCEPT)
    scores = torch.from_numpy(WEIGHTS)[IDS]
    assert network.train()(IDS, LENGTHS, scores).tolist() == pytest.approx(line(WEIGHTS), rel=0.05)


def test_argument_blocks_gradient_of_scores(with_ngram_scores: SentimentLSTM) -> None:
    with_ngram_scores(IDS, LENGTHS, torch.from_numpy(WEIGHTS)[IDS]).sum().backward()
    gradient = with_ngram_scores.embedding.weight.grad
    assert gradient is not None
    assert (gradient[:, -1] == 0).all()


def test_remaining_cells_receive_gradients(with_ngram_scores: SentimentLSTM) -> None:
    optimizer = torch.optim.SGD(with_ngram_scores.parameters(), 0.1)
    for _ in range(2):  # the first step only changes the linear layer's zero weights
        optimizer.zero_grad()
        with_ngram_scores(IDS, LENGTHS).sum().backward()
        optimizer.step()
    gradient = with_ngram_scores.lstm.get_parameter("weight_hh_l0").grad
    assert gradient is not None
    rows = gradient.abs().sum(1) > 0
    assert all(rows[gate + 1 : gate + 32].all() for gate in range(0, 128, 32))


@pytest.mark.parametrize("pooling", ["last", "max"])
def test_other_poolings_only_embed_scores(pooling: str) -> None:
    network = SentimentLSTM(NetworkSettings(50, 16, 32, pooling))
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    network.initialize_from(None, WEIGHTS, SLOPE, INTERCEPT)
    after = dict(network.named_parameters())
    assert after["embedding.weight"][:, -1].tolist() == WEIGHTS.tolist()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["embedding.weight"]
