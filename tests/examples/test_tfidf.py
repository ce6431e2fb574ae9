"""The example model package; tests/end_to_end/test_contract.py trains and serves it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from byoc.errors import ArtifactError, DataError
from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag
from examples import tfidf
from examples.tfidf.data import read_channel, split
from examples.tfidf.model import Model, evaluate, fit_slices, fit_vectorizer

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["a good film", "good fun", "a bad film", "bad luck", "a plain film", "plain fun"]
LABELS = ["good", "good", "bad", "bad", "plain", "plain"]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    """The folder, with one more file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text,label\n1,"two\nlines, one text",x\n2,plain,1\n'),
        ("a.csv", b'\xef\xbb\xbftext,label\r\n"two\nlines, one text",x\r\nplain,1\r\n'),
        ("a.jsonl", '{"text": "two\\nlines, one text", "label": "x"}\n\n{"label": 1, "text": "plain"}'),
    ],
)
def test_formats_give_the_same_examples(tmp_path: Path, name: str, content: str | bytes) -> None:
    expected = [("two\nlines, one text", "x"), ("plain", "1")]
    assert read_channel("training", written(tmp_path, name, content)) == expected


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", "text,label\nfine,1\nmissing label\n", 3),
        ("a.csv", 'text,label\n"two\nlines",1\nfine, but two columns,1\n', 4),
        ("a.csv", "review,label\nfine,1\n", 2),
        ("a.csv", b"text,label\nfine,1\n\xff,1\n", 3),
        ("a.csv", 'text,label\n"open,1\n', 2),
        ("a.jsonl", '{"text": "fine", "label": 1}\n{"text": 3, "label": 1}\n', 2),
        ("a.jsonl", '{"text": "fine", "label": 1}\n\nnot JSON\n', 3),
        ("a.jsonl", '["fine", 1]\n', 1),
        ("a.jsonl", '{"text": "fine", "label": 1.5}\n', 1),
    ],
)
def test_faulty_line_is_named(tmp_path: Path, name: str, content: str | bytes, line: int) -> None:
    folder = written(tmp_path, name, content)
    with pytest.raises(DataError, match=rf"^{folder}/{name}, line {line}: "):
        read_channel("training", folder)


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt: unknown format; expected \.csv or \.jsonl"):
        read_channel("training", written(tmp_path, "a.txt", ""))


def test_empty_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="channel training: no examples"):
        read_channel("training", written(tmp_path, "a.csv", "text,label\n"))


def test_split_partitions_the_examples() -> None:
    examples = [(str(i), "x") for i in range(20)]
    training, validation = split(examples, tfidf.Hyperparameters(validation_fraction=0.1))
    assert len(validation) == 2
    assert sorted(training + validation) == sorted(examples)


def test_split_depends_on_the_seed() -> None:
    examples = [(str(i), "x") for i in range(20)]
    first, other = (tfidf.Hyperparameters(validation_fraction=0.5, seed=seed) for seed in (1, 2))
    assert split(examples, first) == split(examples, first) != split(examples, other)


@pytest.fixture(scope="module")
def model() -> Model:
    hyperparameters = tfidf.Hyperparameters(min_texts=1)
    vectorizer, features = fit_vectorizer(TEXTS, hyperparameters)
    *_, regression = fit_slices(features, LABELS, hyperparameters)
    return Model(vectorizer, regression)


def test_model_predicts_its_training_labels(model: Model) -> None:
    assert [result["label"] for result in model.predict(TEXTS)] == LABELS


def test_probability_is_of_the_predicted_label(model: Model) -> None:
    assert all(1 / 3 < result["probability"] <= 1 for result in model.predict(["good", "", "unknown"]))


def test_loaded_model_predicts_the_same(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    assert tfidf.load(tmp_path, "cpu", "fp32").predict(TEXTS) == model.predict(TEXTS)


def test_weights_must_be_finite(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    arrays = load_file(tmp_path / "model.safetensors")
    save_file(
        {**arrays, "intercept": np.full_like(arrays["intercept"], np.inf)}, tmp_path / "model.safetensors"
    )
    with pytest.raises(ArtifactError, match=r": a number is not finite"):
        tfidf.load(tmp_path, "cpu", "fp32")


def test_evaluation_of_training_texts_is_perfect(model: Model) -> None:
    metrics = evaluate(model.regression, model.vectorizer.transform(TEXTS), LABELS)
    assert metrics["validation_accuracy"] == 1
    assert 0 < metrics["validation_log_loss"] < 0.5


def train(base: Path, **hyperparameters: float) -> None:
    job = Job("tfidf", OptMl(base), tfidf.Hyperparameters(**hyperparameters), StopFlag())  # type: ignore[arg-type]
    tfidf.train(job)


ROWS = "text,label\n" + "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))


def test_validation_channel_replaces_the_split(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for channel in ("training", "validation"):
        written(tmp_path / "input" / "data" / channel, "a.csv", ROWS)
    with caplog.at_level("INFO"):
        train(tmp_path, min_texts=1)
    assert "training texts: 6; features: 16; validation texts: 6" in caplog.text


@pytest.mark.parametrize(
    ("training", "validation", "hyperparameters", "message"),
    [
        ("text,label\na,x\nb,x\n", ROWS, {}, "expected two labels or more"),
        ("text,label\na,x\nb,y\n", ROWS, {}, "and all labels of the validation"),
        (ROWS, ROWS, {"min_texts": 9}, "no word in 9 texts; lower min_texts"),
    ],
)
def test_useless_training_data_is_refused(
    tmp_path: Path, training: str, validation: str, hyperparameters: dict[str, float], message: str
) -> None:
    for channel, rows in (("training", training), ("validation", validation)):
        written(tmp_path / "input" / "data" / channel, "a.csv", rows)
    with pytest.raises(DataError, match=f"channel training: .*{message}"):
        train(tmp_path, **hyperparameters)


def test_check_summarizes_a_channel(tmp_path: Path) -> None:
    assert (
        tfidf.check(written(tmp_path, "a.csv", ROWS), "training", tfidf.Hyperparameters())
        == "6 texts, 3 labels"
    )


def test_import_needs_no_scikit_learn() -> None:
    program = "import sys; sys.modules |= dict.fromkeys(['sklearn', 'torch']); import tfidf"
    path = {"PYTHONPATH": f"{ROOT / 'code'}:{ROOT / 'examples'}"}
    subprocess.run([sys.executable, "-c", program], env=path, check=True)


def test_tuning_objective_is_a_metric() -> None:
    folder = ROOT / "examples" / "tfidf"
    objective = json.loads((folder / "tuning.json").read_text())["HyperParameterTuningJobObjective"]
    metrics = json.loads((folder / "metric_definitions.json").read_text())
    assert objective["MetricName"] in [metric["Name"] for metric in metrics]
