"""Requests as SageMaker Clarify sends them for a text, from the templates of docs/clarify.md."""

import csv
import io
import json
import random
import re
from pathlib import Path
from typing import NamedTuple

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clarify.md").read_text("utf-8")
BASELINE = "movie"


class Format(NamedTuple):
    """A row of the page's table of formats."""

    content_type: str
    templates: str
    example: str
    accept: str
    probability: str

    def body(self, texts: list[str]) -> str:
        """A request for these texts."""
        templates: dict[str, str] = dict(re.findall(r"(\w+)='([^']*)'", self.templates))
        if self.content_type == "text/csv":
            output = io.StringIO()
            csv.writer(output, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([text] for text in texts)
            return output.getvalue().removesuffix("\n")
        if self.content_type == "application/jsonlines":
            template = templates["content_template"]
            return "\n".join(template.replace("$features", json.dumps([text])) for text in texts)
        assert templates["record_template"] == "$features_kvp"
        records = json.dumps([{"text": text} for text in texts], separators=(",", ":"))
        return templates["content_template"].replace("$records", records)

    def probabilities(self, answer: str) -> list[float]:
        """The values that Clarify extracts from an answer."""
        if self.accept == "text/csv":
            return [float(row[int(self.probability)]) for row in csv.reader(io.StringIO(answer))]
        return [float(json.loads(line)[json.loads(self.probability)]) for line in answer.splitlines()]


FORMATS = [
    Format(*(cell.strip().strip("`").replace("`, `", ", ") for cell in row.strip("|").split("|")))
    for row in re.findall(r"^\| `[a-z]+/\w+` \|.*$", PAGE, re.MULTILINE)
]


def masked(text: str, count: int) -> list[str]:
    """Copies of a text, some of whose words are the baseline: all of them in the first, none in the last."""
    words, chance = text.split(" "), random.Random(1)
    copies = [
        " ".join(BASELINE if chance.random() < i / count else word for word in words)
        for i in range(count, 0, -1)
    ]
    return [*copies[: count - 1], text] if count > 1 else copies
