"""What three processes have read, as each of them gets it."""

from pathlib import Path

from tests.support.programs import run_processes

# Every process runs this; a failed assertion is its exit code.
THREE = """
from sentiment.data.corpus import Share, WordTable, read
from sentiment.data.gather import examples_of, sources_of
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from sentiment.data.reviews import Review
from sentiment.settings import TextSettings
from sentiment.data.sources import Source
from sentiment.text.vocabulary import Vocabulary

REVIEWS = [
    Review(f"w{i} w{i + 1} w{i % 3}", i % 2, Source("reviews.csv", i + 2), f"tt{i // 2}") for i in range(8)
]

def found(process_group, share):
    table = WordTable()
    part = read(REVIEWS, str.split, table, share)
    sources = sources_of(part, process_group)
    vocabulary = Vocabulary([f"w{i}" for i in range(9)])
    examples = examples_of("test", part, table, vocabulary, TextSettings([], 2, "tail"), process_group)
    return examples, [sources[i] for i in range(len(sources))]

process_group = ProcessGroup.init()
examples, sources = found(process_group, Share(process_group.rank, process_group.size))
expected_examples, expected_sources = found(SINGLE_PROCESS, Share())
assert examples.sequences.ids.tolist() == expected_examples.sequences.ids.tolist()
assert examples.sequences.offsets.tolist() == expected_examples.sequences.offsets.tolist()
assert examples.labels.tolist() == [0, 1] * 4
groups = examples.groups.tolist()
assert groups == expected_examples.groups.tolist() and len(set(groups)) == 4
assert sources == (expected_sources if process_group.rank == 0 else [])
process_group.destroy()
"""


def test_all_have_everything_in_the_order_of_the_channel(tmp_path: Path) -> None:
    run_processes(THREE, tmp_path)
