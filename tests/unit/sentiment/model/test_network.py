"""The network: batching, pooling, dropout, initialization."""

import numpy as np
import pytest
import torch

from sentiment.evaluation.metrics import sigmoid
from sentiment.model.network import SentimentLSTM, evaluate, to_tensors
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


def plain_logit(network: SentimentLSTM, ids: list[int]) -> float:
    """Definition of the network for one review."""
    outputs, _ = network.lstm(network.embedding(torch.tensor(ids))[:, None])
    outputs = outputs[:, 0]
    pooled = {
        "last": outputs[-1],
        "mean": outputs.sum(0) / (len(ids) + PSEUDO_COUNT),
        "max": outputs.max(0).values,
        "mean-max": torch.cat([outputs.sum(0) / (len(ids) + PSEUDO_COUNT), outputs.max(0).values]),
    }["-".join(network.pooling)]
    return float((network.linear.weight[0] @ pooled + network.linear.bias).item())


def test_logits_match_the_definition(network: SentimentLSTM) -> None:
    with torch.no_grad():
        network.linear.weight.normal_()
        network.linear.weight[:, : 32 if "mean" in network.pooling else 0] *= PSEUDO_COUNT
    expected = [plain_logit(network, SEQUENCES[i].tolist() or [PAD_ID]) for i in range(8)]
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(logits(network, list(range(8))), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(evaluate(network, SEQUENCES), expected, rtol=1e-3, atol=1e-4)


def test_mean_has_a_pseudo_count(monkeypatch: pytest.MonkeyPatch) -> None:
    network = SentimentLSTM(NetworkSettings(50, 16, 2, "mean"))
    monkeypatch.setattr(
        network.lstm, "forward", lambda vectors: (torch.full_like(vectors[:, :, :2], 3), None)
    )
    with torch.no_grad():
        network.linear.weight.fill_(1.0)
        network.linear.bias.fill_(0.25)
    expected = [6 * length / (length + PSEUDO_COUNT) + 0.25 for length in (7, 200)]
    assert logits(network, [0, 6]) == pytest.approx(expected)


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
    assert shapes == NetworkSettings(50, 16, 32, "-".join(network.pooling)).tensor_shapes()


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
