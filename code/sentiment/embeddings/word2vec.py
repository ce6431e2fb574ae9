"""Word embeddings from the reviews themselves, labeled or not, as initial weights.

Dai and Le, NIPS 2015, table 2: they reduce an LSTM's error on IMDb from 13.5 % to 10.0 %.
"""

import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np
from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
from numpy.typing import NDArray

from byoc.errors import DataError
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import FIRST_WORD

logger = logging.getLogger(__name__)

WORD2VEC_EPOCHS = 5

# It warns of short corpora, which nobody can lengthen here.
logging.getLogger("gensim").setLevel(logging.ERROR)

# Root mean square of an element. Unit variance would half close the LSTM's gates; 0.1, as for random
# embeddings, would change the gates little in the first epoch.
SCALE = 0.35


class _Sentences:
    """Sequences as gensim's restartable iterable of lists of strings."""

    def __init__(self, corpora: Sequence[Sequences]) -> None:
        self._corpora = corpora

    def __iter__(self) -> Iterator[list[str]]:
        for sequences in self._corpora:
            for i in range(len(sequences)):
                yield list(map(str, sequences[i].tolist()))


class _EpochLogger(CallbackAny2Vec):  # type: ignore[misc]
    """Logs each epoch."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._epoch = 0
        self._start = time.monotonic()

    def on_epoch_end(self, _model: Word2Vec) -> None:
        """Called by gensim."""
        self._epoch += 1
        seconds = time.monotonic() - self._start
        logger.info("word2vec: epoch %d of %d finished; %.0f s", self._epoch, self._epochs, seconds)


def train_word2vec(
    corpora: Sequence[Sequences], shape: tuple[int, int], epochs: int, seed: int
) -> NDArray[np.float32]:
    """Train CBOW embeddings: Mikolov et al., arXiv:1301.3781, section 3.1.

    One thread, because only then are the embeddings of one seed bit-identical.

    Returns:
        [vocab_size, embedding_dim], of ``shape``, with a root mean square of ``SCALE``; rows of padding and
        of ids that do not occur are zero.

    Raises:
        DataError: the reviews have no words.
    """
    if not any(len(sequences.ids) for sequences in corpora):
        raise DataError(
            "the reviews contain no words (characters a to z and 0 to 9)\n"
            "provide more reviews or, with labels, set embedding_init=random"
        )
    model = Word2Vec(
        _Sentences(corpora),
        vector_size=shape[1],
        window=5,
        epochs=epochs,
        min_count=1,
        workers=1,
        seed=seed,
        callbacks=[_EpochLogger(epochs)],
    )
    vectors = np.zeros(shape, np.float32)
    vectors[[int(word) for word in model.wv.index_to_key]] = model.wv.vectors
    tokens = vectors[FIRST_WORD - 1 :]
    return vectors * np.float32(SCALE / np.sqrt(np.square(tokens[tokens.any(1)]).mean()))
