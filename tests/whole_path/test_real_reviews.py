"""What takes all 25,000 real reviews: the same words as the definition's, and the memory of a default job."""

import subprocess
import sys
from pathlib import Path

import pytest

from programs import ROOT, environment
from reference_text import reference_words
from sentiment.text import words

pytestmark = pytest.mark.whole_path

# All of a default job that takes memory: the reviews, steps over the longest batch and over every width, an
# evaluation.
JOB = """
import resource
import sys
from pathlib import Path

import numpy as np

import train  # what the job imports takes memory, too
from sentiment import datasets, head_start
from sentiment.batches import Targets
from sentiment.feed import Feed
from sentiment.hyperparameters import Hyperparameters
from sentiment.model import SentimentLSTM, evaluate
from sentiment.ranks import ALONE
from sentiment.settings import NetworkSettings
from sentiment.stop import Stop
from sentiment.training import TrainingLoop

defaults = Hyperparameters(precision="fp32")
data = datasets.load({"training": Path(sys.argv[1])}, defaults)
d = defaults
settings = NetworkSettings(len(data.vocabulary), d.embedding_dim, d.hidden_dim, d.pooling)
network = SentimentLSTM(settings, defaults.dropout, defaults.embedding_dropout)
targets = Targets(
    head_start.to_learn_from(data, defaults), head_start.make(data, defaults, ALONE, Stop()).targets
)
loop = TrainingLoop(network, targets, defaults)
longest = np.argsort(data.training.sequences.lengths)[-defaults.batch_size:]
every_width = np.unique(data.training.sequences.lengths, return_index=True)[1]
batches = [longest] * 3 + [np.array([index]) for index in every_width]
for number, batch in enumerate(Feed(targets, batches, loop.device)):
    loop.optimization.step(batch, number)
    loop.average.update_parameters(network)
best = {name: weight.clone() for name, weight in network.state_dict().items()}
evaluate(network, data.held_out["validation"].sequences)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_words_are_those_of_the_definition(real_reviews: list[tuple[str, str]]) -> None:
    texts = [text for text, _ in real_reviews]
    assert len(texts) == 25_000
    assert [words(text) for text in texts] == [reference_words(text) for text in texts]


def test_peak_is_below_1500_mb(real_reviews: list[tuple[str, str]], tmp_path: Path) -> None:
    assert len(real_reviews) == 25_000
    (tmp_path / "reviews.csv").symlink_to(ROOT / ".cache" / "reviews.csv")
    result = subprocess.run(
        [sys.executable, "-c", JOB, tmp_path],
        env=environment(tmp_path), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert int(result.stdout.splitlines()[-1]) * 1024 < 1.5e9
