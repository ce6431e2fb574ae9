"""What takes all 25,000 real reviews: the same words as the definition's, and the memory of a default job."""

import subprocess
import sys
from pathlib import Path

import pytest

from sentiment.text.tokenizer import tokenize
from tests.conftest import make_base
from tests.support.programs import environment
from tests.support.reference_text import reference_words

pytestmark = pytest.mark.whole_path

# All of a default job that takes memory: the reviews, its teachers (word2vec takes less), steps over the
# longest batch and over every width, an evaluation.
JOB = """
import resource
from pathlib import Path

import numpy as np

from sentiment.training.memory import keep_freed_memory
from byoc.checkpoints import Checkpoints
from sentiment.training.loader import Prefetcher
from sentiment.hyperparameters import Hyperparameters
from sentiment.training.run import prepare
from sentiment.model.network import evaluate
from byoc.opt_ml import OptMl
from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.signals import StopFlag

hyperparameters = Hyperparameters(embedding_init="random")
checkpoints = Checkpoints(Path("none"), 1)
job = prepare(OptMl.from_environment(), hyperparameters, SINGLE_PROCESS, StopFlag(), checkpoints)
loop = job.loop
keep_freed_memory()
lengths = loop.training.sequences.lengths
longest = np.argsort(lengths)[-loop.hyperparameters.batch_size:]
many_widths = np.unique(lengths, return_index=True)[1][::4]
batches = [longest] * 3 + [np.array([index]) for index in many_widths]
for number, batch in enumerate(Prefetcher(loop.training, batches, loop.device)):
    loop.optimization.step(batch, number)
    loop.ema.update_parameters(loop.network)
best = {name: weight.clone() for name, weight in loop.network.state_dict().items()}
evaluate(loop.network, job.data.held_out["validation"].sequences)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_words_are_those_of_the_definition(real_reviews: list[tuple[str, str]]) -> None:
    texts = [text for text, _ in real_reviews]
    assert len(texts) == 25_000
    assert [tokenize(text) for text in texts] == [reference_words(text) for text in texts]


def test_peak_is_below_1_5_gb(real_reviews: list[tuple[str, str]], tmp_path: Path) -> None:
    assert len(real_reviews) == 25_000
    base = make_base(tmp_path, {}, training=real_reviews)
    result = subprocess.run(
        [sys.executable, "-c", JOB],
        env=environment(base), capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    assert int(result.stdout.splitlines()[-1]) * 1024 < 1.5e9
