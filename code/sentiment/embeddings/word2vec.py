"""Word vectors from the reviews themselves, labelled or not, before the network learns.

Dai and Le, NIPS 2015, table 2: an LSTM that begins with them errs on 10.0 % of IMDb instead of 13.5 %.
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

WORD2VEC_EPOCHS = 5  # passes over the reviews

# It warns of few texts, which are all there are.
logging.getLogger("gensim").setLevel(logging.ERROR)

# The root mean square of an element. With vectors of unit variance the LSTM's gates begin half shut; of 0.1,
# as random ones begin, they move little in the first epoch.
SCALE = 0.35


class _Texts:
    """Sequences as gensim takes them: lists of strings, as often as it likes to read them."""

    def __init__(self, parts: Sequence[Sequences]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[list[str]]:
        for part in self._parts:
            for i in range(len(part)):
                yield list(map(str, part[i].tolist()))


class Progress(CallbackAny2Vec):  # type: ignore[misc]
    """Says after each pass over the reviews how far it is."""

    def __init__(self, name: str, epochs: int) -> None:
        self._name = name
        self._epochs = epochs
        self._epoch = 0
        self._start = time.monotonic()

    def on_epoch_end(self, _model: Word2Vec) -> None:
        """Called by gensim."""
        self._epoch += 1
        seconds = time.monotonic() - self._start
        logger.info("%s: pass %d of %d over; %.0f s", self._name, self._epoch, self._epochs, seconds)


def word2vec(
    parts: Sequence[Sequences], shape: tuple[int, int], epochs: int, seed: int
) -> NDArray[np.float32]:
    """Vectors by which a word's neighbours can be told: Mikolov et al., arXiv:1301.3781, section 3.1 (CBOW).

    In one thread, for only so the same reviews give the same vectors, bit for bit.

    Args:
        parts: the reviews as ids.
        shape: (vocab_size, embedding_dim), of what is returned.
        epochs: passes over the reviews.
        seed: of the first vectors and of what is passed over at random.

    Returns:
        [vocab_size, embedding_dim], with a root mean square of ``SCALE`` but for those that are zero: "no
        word", and every id that does not occur.

    Raises:
        DataError: the reviews have no words.
    """
    if not any(len(part.ids) for part in parts):
        raise DataError(
            "the reviews have no words to make vectors of: only a to z and 0 to 9 count\n"
            "give others, or, if there are labels, embedding_init=random"
        )
    texts = _Texts(parts)
    model = Word2Vec(
        texts,
        vector_size=shape[1],
        window=5,
        epochs=epochs,
        min_count=1,
        workers=1,
        seed=seed,
        callbacks=[Progress("word2vec", epochs)],
    )
    vectors = np.zeros(shape, np.float32)
    vectors[[int(word) for word in model.wv.index_to_key]] = model.wv.vectors
    occurs = vectors[FIRST_WORD - 1 :].any(1)
    return vectors * np.float32(SCALE / np.sqrt(np.square(vectors[FIRST_WORD - 1 :][occurs]).mean()))
