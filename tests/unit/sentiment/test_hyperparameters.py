"""Defaults, presets and help of the hyperparameters."""

from dataclasses import asdict

import pytest

from byoc.hyperparameters import help_text, parse_hyperparameters
from sentiment.hyperparameters import PRESETS, Hyperparameters, differences


def test_defaults_apply() -> None:
    defaults = parse_hyperparameters(Hyperparameters, {})
    assert (defaults.epochs, defaults.hidden_dim, defaults.max_length) == (3, 128, 1000)
    assert defaults.validation_fraction == 0.1


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_supplies_missing_values(preset: str) -> None:
    values = differences(preset)
    assert ("vocab_size" in values) == (preset == "baseline")
    parsed = parse_hyperparameters(Hyperparameters, {"preset": preset, "epochs": "3"})
    assert asdict(parsed) == asdict(Hyperparameters(**values | {"preset": preset, "epochs": 3}))


def test_later_source_overrides_preset() -> None:
    assert (
        parse_hyperparameters(Hyperparameters, {"preset": "baseline"}, {"preset": "default"})
        == Hyperparameters()
    )


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"default"}))
def test_preset_has_no_default_values(preset: str) -> None:
    defaults = asdict(Hyperparameters())
    assert all(value != defaults[name] for name, value in differences(preset).items())


def test_preset_values_are_valid() -> None:
    for preset in PRESETS:
        parse_hyperparameters(Hyperparameters, differences(preset))


def test_fingerprint_ignores_preset_name() -> None:
    values = parse_hyperparameters(Hyperparameters, differences("baseline"))
    preset = parse_hyperparameters(Hyperparameters, {"preset": "baseline"})
    assert values.fingerprint_fields() == preset.fingerprint_fields()


def test_help_lists_preset_values() -> None:
    help_of_preset = help_text(Hyperparameters).partition("preset baseline: ")[2].partition("\n\n")[0]
    words = " ".join(help_of_preset.split())
    assert "--vocab_size 5000" in words
    assert "--stop_words all" in words
