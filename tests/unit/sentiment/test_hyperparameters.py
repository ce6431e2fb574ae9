"""Hyperparameters as SageMaker, its SDK and a command line send them."""

from dataclasses import asdict

import pytest

from byoc.hyperparameters import help_text, parse_hyperparameters
from sentiment.hyperparameters import PRESETS, Hyperparameters, differences


def test_defaults_are_those_of_the_reference() -> None:
    defaults = parse_hyperparameters(Hyperparameters, {})
    assert (defaults.epochs, defaults.hidden_dim, defaults.max_length) == (2, 128, 1000)
    assert defaults.validation_fraction == 0.1


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_what_was_not_given(preset: str) -> None:
    values = differences(preset)
    assert ("vocab_size" in values) == (preset == "baseline")
    parsed = parse_hyperparameters(Hyperparameters, {"preset": preset, "epochs": "3"})
    assert asdict(parsed) == asdict(Hyperparameters(**values | {"preset": preset, "epochs": 3}))


def test_later_source_may_name_another_preset() -> None:
    assert (
        parse_hyperparameters(Hyperparameters, {"preset": "baseline"}, {"preset": "default"})
        == Hyperparameters()
    )


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"default"}))
def test_preset_holds_differences_only(preset: str) -> None:
    defaults = asdict(Hyperparameters())
    assert all(value != defaults[name] for name, value in differences(preset).items())


def test_preset_holds_what_could_be_given_as_well() -> None:
    for preset in PRESETS:
        parse_hyperparameters(Hyperparameters, differences(preset))


def test_name_of_the_preset_decides_nothing() -> None:
    given = parse_hyperparameters(Hyperparameters, differences("baseline"))
    preset = parse_hyperparameters(Hyperparameters, {"preset": "baseline"})
    assert given.fingerprint_fields() == preset.fingerprint_fields()


def test_help_tells_what_is_in_a_preset() -> None:
    seed = help_text(Hyperparameters).partition("preset baseline: ")[2].partition("\n\n")[0]
    assert "--vocab_size 5000" in " ".join(seed.split())
    assert "--stop_words           all" in seed
