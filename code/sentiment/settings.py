"""What training and serving must agree on: how a review becomes ids, and the shape of the network.

Both are recorded in the artifact, so that serving does what training did.
"""

from dataclasses import dataclass

STOP_WORDS = ("all", "keep-negations", "none")
TRUNCATE = ("head", "tail", "head-tail")
POOLING = ("last", "mean", "smoothed-mean", "max")
# Of the poolings that are means, how many words more than a review's they divide by. The damped one is the
# smaller the fewer words there are, so that few make no great certainty: a mean that is shrunk to zero.
DAMPING = {"mean": 0, "smoothed-mean": 100}


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How a review becomes word ids.

    Attributes:
        stop_words: the words left out.
        max_length: words of a review that count.
        truncate: which words of a longer one, one of ``TRUNCATE``.
    """

    stop_words: list[str]
    max_length: int
    truncate: str

    def __post_init__(self) -> None:
        """Refuse what no review can be cut by, whoever wrote it.

        Raises:
            ValueError: naming the value.
        """
        if not isinstance(self.stop_words, list) or not all(
            isinstance(word, str) for word in self.stop_words
        ):
            raise ValueError("stop_words must be a list of words")
        _check_positive(max_length=self.max_length)
        _check_choice("truncate", self.truncate, TRUNCATE)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The shape of the network.

    Attributes:
        vocab_size: ids of the lookup table, "no word" and "infrequent word" included.
        embedding_dim: width of a word's vector.
        hidden_dim: width of the LSTM's state.
        pooling: what of the LSTM's outputs the linear layer sees: the ``last`` word's, their ``mean``
            or their ``max`` over the words of the review, or a ``smoothed-mean``, see ``DAMPING``.
        ngram_scores: whether the last element of each embedding is the token's n-gram score, which counts at
            the first occurrence of the token only.
    """

    vocab_size: int
    embedding_dim: int
    hidden_dim: int
    pooling: str
    ngram_scores: bool = False

    def __post_init__(self) -> None:
        """Refuse what no network can be built by.

        Raises:
            ValueError: naming the value.
        """
        _check_positive(
            vocab_size=self.vocab_size,
            embedding_dim=self.embedding_dim,
            hidden_dim=self.hidden_dim,
        )
        _check_choice("pooling", self.pooling, POOLING)
        if not isinstance(self.ngram_scores, bool):
            raise ValueError(f"ngram_scores is {self.ngram_scores!r}, expected true or false")

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The network's tensors by name: part of the artifact's format."""
        gates = 4 * self.hidden_dim
        return {
            "embedding.weight": (self.vocab_size, self.embedding_dim),
            "lstm.weight_ih_l0": (gates, self.embedding_dim),
            "lstm.weight_hh_l0": (gates, self.hidden_dim),
            "lstm.bias_ih_l0": (gates,),
            "lstm.bias_hh_l0": (gates,),
            "linear.weight": (1, self.hidden_dim),
            "linear.bias": (1,),
        }


def _check_positive(**values: object) -> None:
    for name, value in values.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is {value!r}, expected a positive integer")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
