"""Settings shared by training and serving and stored in the artifact: preprocessing and network shape."""

from dataclasses import dataclass

STOP_WORDS = ("all", "keep-negations", "none")
TRUNCATE = ("head", "tail", "head-tail")
POOLING = ("last", "mean", "smoothed-mean", "max")
# Tokens of value zero that a mean pooling adds to each review: they shrink the mean, and so the confidence,
# of short reviews.
PSEUDO_COUNT = {"mean": 0, "smoothed-mean": 100}


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Preprocessing.

    Attributes:
        stop_words: words to remove.
        max_length: words kept per review.
        truncate: part of a longer review to keep, one of ``TRUNCATE``.
    """

    stop_words: list[str]
    max_length: int
    truncate: str

    def __post_init__(self) -> None:
        """Validate settings that may come from a file.

        Raises:
            ValueError: a value is invalid.
        """
        if not isinstance(self.stop_words, list) or not all(
            isinstance(word, str) for word in self.stop_words
        ):
            raise ValueError("stop_words must be a list of words")
        _check_positive(max_length=self.max_length)
        _check_choice("truncate", self.truncate, TRUNCATE)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Shape of the network.

    Attributes:
        vocab_size: number of token ids.
        embedding_dim: embedding size.
        hidden_dim: LSTM hidden size.
        pooling: how LSTM outputs are pooled over time, one of ``POOLING``; see ``PSEUDO_COUNT``.
        ngram_scores: whether the last element of each embedding is the token's n-gram score, which counts at
            the first occurrence of the token only.
    """

    vocab_size: int
    embedding_dim: int
    hidden_dim: int
    pooling: str
    ngram_scores: bool = False

    def __post_init__(self) -> None:
        """Validate settings that may come from a file.

        Raises:
            ValueError: a value is invalid.
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
        """Shapes of the network's tensors by name: part of the artifact's format."""
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
