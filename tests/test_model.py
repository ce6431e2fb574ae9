"""The network."""

import numpy as np
import pytest
import torch

from sentiment.batches import Sequences, pad
from sentiment.evaluation import sigmoid
from sentiment.model import SentimentLSTM, evaluate, to_tensors
from sentiment.settings import POOLING, NetworkSettings

GENERATOR = np.random.default_rng(0)
SEQUENCES = Sequences.of(
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


def test_probability_does_not_depend_on_the_batch(network: SentimentLSTM) -> None:
    together = logits(network, list(range(8)))
    alone = [logits(network, [i])[0] for i in range(8)]
    np.testing.assert_allclose(sigmoid(np.array(together)), sigmoid(np.array(alone)), atol=1e-5)


def test_probability_does_not_depend_on_the_order(network: SentimentLSTM) -> None:
    forward, backward = logits(network, list(range(8))), logits(network, list(range(7, -1, -1)))
    np.testing.assert_allclose(sigmoid(np.array(forward)), sigmoid(np.array(backward[::-1])), atol=1e-5)


def test_probability_does_not_depend_on_extra_padding(network: SentimentLSTM) -> None:
    ids, lengths = to_tensors(pad(SEQUENCES, np.arange(8)), torch.device("cpu"))
    wider = torch.nn.functional.pad(ids, (0, 100))
    expected, actual = network(ids, lengths).detach(), network(wider, lengths).detach()
    np.testing.assert_allclose(sigmoid(actual.numpy()), sigmoid(expected.numpy()), atol=1e-5)


def test_pooling_is_what_it_says(network: SentimentLSTM) -> None:
    outputs, lengths = torch.randn(5, 1, 32), torch.tensor([3])
    real = outputs[:3, 0]
    expected = {"last": real[-1], "mean": real.mean(0), "max": real.amax(0)}[network.pooling]
    torch.testing.assert_close(network._pool(outputs, lengths)[0], expected)


def test_evaluate_keeps_the_order_of_the_sequences(network: SentimentLSTM) -> None:
    expected = [logits(network, [i])[0] for i in range(8)]
    np.testing.assert_allclose(evaluate(network, SEQUENCES, max_tokens=70), expected, atol=1e-5)


def test_evaluate_leaves_the_network_as_it_was(network: SentimentLSTM) -> None:
    network.train()
    evaluate(network, SEQUENCES)
    assert network.training


def test_evaluate_does_not_drop(network: SentimentLSTM) -> None:
    network.train()
    assert np.array_equal(evaluate(network, SEQUENCES), evaluate(network, SEQUENCES))


def test_dropout_drops_in_training(network: SentimentLSTM) -> None:
    network.train()
    assert logits(network, [0]) != logits(network, [0])


def test_embedding_dropout_is_the_same_in_all_words() -> None:
    settings = NetworkSettings(50, 16, 32, "max")
    network = SentimentLSTM(settings, embedding_dropout=0.5)
    seen: list[torch.Tensor] = []
    network.lstm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 40), 7), torch.tensor([40]))
    dropped = seen[0][:, 0] == 0
    assert 0 < dropped[0].sum() < 16
    assert (dropped == dropped[0]).all()


def test_no_word_has_no_vector(network: SentimentLSTM) -> None:
    assert not network.embedding.weight[0].any()


def test_forget_gate_starts_open(network: SentimentLSTM) -> None:
    assert (network.lstm.get_parameter("bias_ih_l0")[32:64] == 1).all()


def test_tensors_are_those_of_the_format(network: SentimentLSTM) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == NetworkSettings(50, 16, 32, "max").tensor_shapes()
