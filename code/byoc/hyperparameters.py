"""Hyperparameters as fields of a frozen dataclass: type, range and help; parsing of SageMaker's JSON strings.

A class may define ``from_values(values)``, a class method that builds it from the parsed values (presets,
rules that concern several fields), and ``extra_help()``, a static method whose text follows its help.
"""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, field, fields
from typing import Any, TypeVar

from byoc.errors import HyperparameterError

T = TypeVar("T")


def number(default: float, low: float, high: float, text: str) -> Any:
    """A field for a number from ``low`` to ``high``, an int or a float as the default is."""
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def choice(default: str, choices: tuple[str, ...], text: str) -> Any:
    """A field for one of several strings."""
    return field(default=default, metadata={"choices": choices, "help": text})


def text(default: str, parse: Callable[[str], str], allowed: str, help_text: str) -> Any:
    """A field for a string; ``parse`` returns it or raises ValueError, ``allowed`` describes it."""
    return field(default=default, metadata={"parse": parse, "allowed": allowed, "help": help_text})


def parse_hyperparameters(cls: type[T], *sources: Mapping[str, Any]) -> T:
    """The hyperparameters in names and values as SageMaker, its SDK or a command line sends them.

    Strings may be JSON-encoded, once or twice; ``-`` in a name counts as ``_``. Names that belong to
    SageMaker (``sagemaker_*``, ``_tuning_objective_metric``) are skipped. Later sources override earlier.

    Raises:
        HyperparameterError: lists every unknown name, wrong type and value out of range.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for source in sources:
        values |= _parse_source(cls, source, faults)
    if faults:
        raise HyperparameterError("\n".join(faults))
    build = getattr(cls, "from_values", None)
    return build(values) if build else cls(**values)


def _parse_source(cls: type, source: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """The valid values of one source; appends a line to ``faults`` for each invalid one."""
    specs = {spec.name: spec for spec in fields(cls)}
    values: dict[str, Any] = {}
    for original, value in source.items():
        name = original.replace("-", "_")
        if original.startswith("sagemaker_") or original == "_tuning_objective_metric":
            continue
        if name not in specs:
            faults.append(f"unknown hyperparameter {original!r}; {_suggestion(name, list(specs))}")
        elif name in values:
            faults.append(f"hyperparameter {original}: set twice, with - and with _; set it once")
        else:
            try:
                values[name] = parse_value(specs[name], value)
            except (ValueError, RecursionError):  # 1,000 brackets
                faults.append(f"hyperparameter {original}: {value!r} is not {describe_range(specs[name])}")
    return values


def _suggestion(name: str, known: list[str]) -> str:
    matches = difflib.get_close_matches(name, known, 1)
    return f"did you mean {matches[0]!r}?" if matches else f"expected one of {', '.join(known)}"


def parse_value(spec: "Field[Any]", value: Any) -> Any:
    """The value in its field's type.

    Raises:
        ValueError: it has another type or is out of range.
    """
    if "parse" in spec.metadata:
        return spec.metadata["parse"](_unquote(value))
    value = _decode(value)
    if "choices" in spec.metadata:
        if value not in spec.metadata["choices"]:
            raise ValueError
        return value
    low, high = spec.metadata["low"], spec.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError
    if spec.type is int and value != int(value):
        raise ValueError
    return int(value) if spec.type is int else float(value)


def _decode(value: Any) -> Any:
    """Undo JSON encoding: SageMaker sends strings only, and its SDK encodes them once more."""
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value


def _unquote(value: Any) -> str:
    """A string without the JSON encoding of the SDK; JSON of another type stays as it is."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        decoded = json.loads(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, str) else value


def parse_command_line(arguments: Sequence[str]) -> dict[str, str]:
    """Names and values from ``--name value`` or ``--name=value``.

    Raises:
        HyperparameterError: an argument has neither form.
    """
    values = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or not (equals or rest):
            raise HyperparameterError(f"expected --name value on the command line, got {name!r}")
        values[name.removeprefix("--").replace("-", "_")] = value if equals else rest.pop(0)
    return values


def help_text(cls: type) -> str:
    """One line per hyperparameter: name, default, meaning and range."""
    lines = [
        f"  --{spec.name:<28} {spec.default!s:<15} {spec.metadata['help']}; {describe_range(spec)}"
        for spec in fields(cls)
    ]
    extra = getattr(cls, "extra_help", None)
    return "\n".join([*lines, *([extra()] if extra else [])])


def describe_range(spec: "Field[Any]") -> str:
    """The values that a field accepts, as text."""
    if "allowed" in spec.metadata:
        return str(spec.metadata["allowed"])
    if "choices" in spec.metadata:
        return f"one of {', '.join(spec.metadata['choices'])}"
    type_name = "an integer" if spec.type is int else "a number"
    return f"{type_name} from {spec.metadata['low']:g} to {spec.metadata['high']:.10g}"
