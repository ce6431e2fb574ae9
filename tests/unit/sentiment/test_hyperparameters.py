"""Hyperparameters as SageMaker, its SDK and a command line send them."""

import json
from dataclasses import asdict

import pytest

from byoc.errors import HyperparameterError
from sentiment.hyperparameters import PRESETS, Hyperparameters, differences, help_text, parse_command_line


def test_defaults_are_those_of_the_reference() -> None:
    defaults = Hyperparameters.parse({})
    assert (defaults.epochs, defaults.hidden_dim, defaults.max_length) == (2, 128, 1000)
    assert defaults.validation_fraction == 0.1


@pytest.mark.parametrize("value", ["7", '"7"', 7, "7.0", "7e0"])
def test_integer_in_every_encoding(value: object) -> None:
    assert Hyperparameters.parse({"epochs": value}).epochs == 7


@pytest.mark.parametrize("value", ["1e-3", "0.001", '"0.001"', 0.001])
def test_number_in_every_encoding(value: object) -> None:
    assert Hyperparameters.parse({"learning_rate": value}).learning_rate == 0.001


def test_whole_number_where_a_fraction_may_be() -> None:
    dropout = Hyperparameters.parse({"dropout": "0"}).dropout
    assert isinstance(dropout, float)
    assert dropout == 0


@pytest.mark.parametrize("value", ["max", '"max"', json.dumps('"max"')])
def test_choice_in_every_encoding(value: str) -> None:
    assert Hyperparameters.parse({"pooling": value}).pooling == "max"


def test_dash_counts_as_underscore() -> None:
    assert Hyperparameters.parse({"hidden-dim": "64"}).hidden_dim == 64


def test_both_spellings_at_once_are_refused() -> None:
    with pytest.raises(HyperparameterError, match="given twice"):
        Hyperparameters.parse({"hidden-dim": "64", "hidden_dim": "64"})


def test_later_source_overrides() -> None:
    assert Hyperparameters.parse({"hidden-dim": "64"}, {"hidden_dim": "32"}).hidden_dim == 32


def test_names_of_sagemaker_are_passed_over() -> None:
    names = {"sagemaker_program": "x.py", "sagemaker_job_name": "1", "_tuning_objective_metric": "a"}
    assert Hyperparameters.parse(names) == Hyperparameters()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", "many", "an integer from 1 to 1000"),
        ("epochs", "0", "an integer from 1 to 1000"),
        ("epochs", "1.5", "an integer from 1 to 1000"),
        ("epochs", "True", "an integer"),
        ("epochs", "true", "an integer"),
        ("epochs", "", "an integer"),
        ("epochs", "[1]", "an integer"),
        ("epochs", "1" + "0" * 400, "an integer"),
        ("epochs", "[" * 1_500, "an integer"),
        ("learning_rate", "NaN", "a number from 1e-08 to 10"),
        ("learning_rate", "1e999", "a number"),
        ("learning_rate", "-1", "a number"),
        ("pooling", "sum", "one of last, mean, smoothed-mean, max"),
        ("pooling", "[]", "one of last, mean, smoothed-mean, max"),
        ("seed", "4294967296", "an integer from 0 to 4294967295"),
    ],
)
def test_refusal_names_hyperparameter_value_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        Hyperparameters.parse({name: value})
    assert f"hyperparameter {name}: {value!r} is not {allowed}" in str(caught.value)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(HyperparameterError, match="hyperparameter epoch: there is no such"):
        Hyperparameters.parse({"epoch": "1"})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(HyperparameterError) as caught:
        Hyperparameters.parse({"epochs": "0", "pooling": "sum", "nonsense": "1"})
    assert len(str(caught.value).splitlines()) == 3


def test_command_line_in_both_forms() -> None:
    arguments = ["--epochs", "2", "--hidden-dim=64", "--learning_rate", "-1"]
    assert parse_command_line(arguments) == {"epochs": "2", "hidden_dim": "64", "learning_rate": "-1"}


@pytest.mark.parametrize("arguments", [["epochs"], ["--epochs"], ["-e", "1"]])
def test_argument_of_another_form_is_refused(arguments: list[str]) -> None:
    with pytest.raises(HyperparameterError, match="expected --name value"):
        parse_command_line(arguments)


def test_help_names_every_hyperparameter_with_default_and_range() -> None:
    lines = help_text().partition("\n\n")[0].splitlines()
    assert len(lines) == len(Hyperparameters.__dataclass_fields__)
    assert any("--hidden_dim" in line and "128" in line and "from 1 to 4096" in line for line in lines)


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_what_was_not_given(preset: str) -> None:
    values = differences(preset)
    assert ("vocab_size" in values) == (preset == "baseline")
    parsed = Hyperparameters.parse({"preset": preset, "epochs": "3"})
    assert asdict(parsed) == asdict(Hyperparameters(**values | {"preset": preset, "epochs": 3}))


def test_later_source_may_name_another_preset() -> None:
    assert Hyperparameters.parse({"preset": "baseline"}, {"preset": "default"}) == Hyperparameters()


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"default"}))
def test_preset_holds_differences_only(preset: str) -> None:
    defaults = asdict(Hyperparameters())
    assert all(value != defaults[name] for name, value in differences(preset).items())


def test_preset_holds_what_could_be_given_as_well() -> None:
    for preset in PRESETS:
        Hyperparameters.parse(differences(preset))


def test_name_of_the_preset_decides_nothing() -> None:
    given = Hyperparameters.parse(differences("baseline"))
    assert given.that_decide() == Hyperparameters.parse({"preset": "baseline"}).that_decide()


def test_help_tells_what_is_in_a_preset() -> None:
    baseline = help_text().partition("preset baseline: ")[2].partition("\n\n")[0]
    assert "--vocab_size           5000" in baseline
    assert "--stop_words           all" in baseline
