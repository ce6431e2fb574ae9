"""Parsing of hyperparameters, over the fields of the toy model."""

import json

import pytest

from byoc.errors import HyperparameterError
from byoc.hyperparameters import help_text, parse_command_line, parse_hyperparameters
from tests.support.toy import Hyperparameters


@pytest.mark.parametrize("value", ["7", '"7"', 7, "7.0", "7e0"])
def test_integer_in_every_encoding(value: object) -> None:
    assert parse_hyperparameters(Hyperparameters, {"epochs": value}).epochs == 7


@pytest.mark.parametrize("value", ["1e-3", "0.001", '"0.001"', 0.001])
def test_number_in_every_encoding(value: object) -> None:
    assert parse_hyperparameters(Hyperparameters, {"rate": value}).rate == 0.001


def test_integer_is_a_valid_number() -> None:
    rate = parse_hyperparameters(Hyperparameters, {"rate": "2"}).rate
    assert isinstance(rate, float)
    assert rate == 2


@pytest.mark.parametrize("value", ["lower", '"lower"', json.dumps('"lower"')])
def test_choice_in_every_encoding(value: str) -> None:
    assert parse_hyperparameters(Hyperparameters, {"mode": value}).mode == "lower"


def test_dash_counts_as_underscore() -> None:
    assert parse_hyperparameters(Hyperparameters, {"batch-size": "64"}).batch_size == 64


def test_both_spellings_at_once_are_refused() -> None:
    with pytest.raises(HyperparameterError, match="set twice"):
        parse_hyperparameters(Hyperparameters, {"batch-size": "64", "batch_size": "64"})


def test_later_source_overrides() -> None:
    assert parse_hyperparameters(Hyperparameters, {"batch-size": "64"}, {"batch_size": "32"}).batch_size == 32


def test_names_of_sagemaker_are_skipped() -> None:
    names = {"sagemaker_program": "x.py", "sagemaker_job_name": "1", "_tuning_objective_metric": "a"}
    assert parse_hyperparameters(Hyperparameters, names) == Hyperparameters()


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
        ("rate", "NaN", "a number from 1e-08 to 10"),
        ("rate", "1e999", "a number"),
        ("rate", "-1", "a number"),
        ("mode", "sum", "one of upper, lower"),
        ("mode", "[]", "one of upper, lower"),
        ("seed", "4294967296", "an integer from 0 to 4294967295"),
    ],
)
def test_invalid_value_names_its_range(name: str, value: str, allowed: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        parse_hyperparameters(Hyperparameters, {name: value})
    assert f"hyperparameter {name}: {value!r} is not {allowed}" in str(caught.value)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(HyperparameterError, match=r"unknown hyperparameter 'epoch'; did you mean 'epochs'\?"):
        parse_hyperparameters(Hyperparameters, {"epoch": "1"})


def test_all_faults_are_listed() -> None:
    with pytest.raises(HyperparameterError) as caught:
        parse_hyperparameters(Hyperparameters, {"epochs": "0", "mode": "sum", "nonsense": "1"})
    assert len(str(caught.value).splitlines()) == 3


def test_command_line_in_both_forms() -> None:
    arguments = ["--epochs", "2", "--batch-size=64", "--rate", "-1"]
    assert parse_command_line(arguments) == {"epochs": "2", "batch_size": "64", "rate": "-1"}


@pytest.mark.parametrize("arguments", [["epochs"], ["--epochs"], ["-e", "1"]])
def test_malformed_argument_is_refused(arguments: list[str]) -> None:
    with pytest.raises(HyperparameterError, match="expected --name value"):
        parse_command_line(arguments)


def test_help_has_defaults_and_ranges() -> None:
    lines = help_text(Hyperparameters).partition("\n\n")[0].splitlines()
    assert len(lines) == len(Hyperparameters.__dataclass_fields__)
    assert any("--batch_size" in line and "128" in line and "from 1 to 4096" in line for line in lines)
