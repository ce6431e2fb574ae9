"""All 25,000 real reviews: the words of the definition, and the memory of a default job."""

import subprocess
import sys
from pathlib import Path

import pytest

from sentiment.text.tokenizer import tokenize
from tests.conftest import make_base
from tests.support.programs import environment
from tests.support.reference_text import reference_words

pytestmark = pytest.mark.whole_path

# The stages of a default job with the highest memory use: data, n-gram model (pretraining needs less), steps
# with the longest batch and with batches of every width, an evaluation.
JOB = """
import re
from pathlib import Path

import numpy as np

from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import evaluate
from sentiment.training.loader import Prefetcher
from sentiment.training.malloc import keep_freed_memory
from sentiment.training.run import setup

hyperparameters = Hyperparameters(pretraining_epochs=0)
run = setup(Job("sentiment", OptMl.from_environment(), hyperparameters, StopFlag()))
trainer, state = run.trainer, run.trainer.state
keep_freed_memory()
lengths = trainer.training.sequences.lengths
longest = np.argsort(lengths)[-hyperparameters.batch_size:]
many_widths = np.unique(lengths, return_index=True)[1][::4]
batches = [longest] * 3 + [np.array([index]) for index in many_widths]
for number, batch in enumerate(Prefetcher(trainer.training, batches, state.device)):
    state.optimization.step(trainer.losses(batch, 1.0), number)
    state.ema.update_parameters(state.network)
best = {name: weight.clone() for name, weight in state.network.state_dict().items()}
evaluate(state.network, run.data.held_out["validation"].sequences)
# Not ru_maxrss, which a process started by vfork inherits from its parent.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
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
