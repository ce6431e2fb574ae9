"""Exchange of examples between processes."""

from pathlib import Path

from tests.support.programs import run_processes

# Every process runs this; a failed assertion is its exit code.
THREE = """
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from sentiment.data.channels import Review, Source
from sentiment.data.corpus import ProvisionalVocabulary, Shard, encode, read
from sentiment.data.exchange import gather_examples, gather_sources
from sentiment.text.vocabulary import Vocabulary

REVIEWS = [
    Review(f"w{i} w{i + 1} w{i % 3}", i % 2, Source("reviews.csv", i + 2), f"tt{i // 2}") for i in range(8)
]

def gather(process_group, shard):
    provisional, vocabulary = ProvisionalVocabulary(str.split), Vocabulary([f"w{i}" for i in range(9)])
    corpus = read(REVIEWS, provisional, shard, keep_sources=True)
    sources = gather_sources(corpus, process_group)
    sequences = encode(corpus, provisional, vocabulary, 2, "tail")
    return gather_examples("test", corpus, sequences, process_group), sources

process_group = ProcessGroup.init()
examples, sources = gather(process_group, Shard(process_group.rank, process_group.size))
expected, expected_sources = gather(SINGLE_PROCESS, Shard())
assert examples.sequences.ids.tolist() == expected.sequences.ids.tolist()
assert examples.sequences.offsets.tolist() == expected.sequences.offsets.tolist()
assert examples.labels.tolist() == [0, 1] * 4
assert examples.groups.tolist() == expected.groups.tolist() and len(set(examples.groups.tolist())) == 4
assert sources == expected_sources
process_group.destroy()
"""


def test_gathered_examples_follow_the_channel(tmp_path: Path) -> None:
    run_processes(THREE, tmp_path)
