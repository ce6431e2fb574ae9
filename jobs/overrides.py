"""``--set PATH=VALUE``: any parameter of a request, by its path in AWS's documentation."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import click

from jobs.aws_request import Request, show
from jobs.validation import input_shape


def prepare(requests: list[Request], values: Mapping[str, Any]) -> list[Request]:
    """The requests with the values of the options ``--set``, checked; ``--dry-run`` prints them and ends.

    Raises:
        click.UsageError: no parameter has the path of an option.
        jobs.validation.InvalidRequestError: a request is invalid.
    """
    requests = apply(requests, values["settings"])
    if values["dry_run"]:
        show(requests)
    for request in requests:
        request.check()
    return requests


def apply(requests: list[Request], settings: Iterable[str]) -> list[Request]:
    """Requests with parameters changed by PATH=VALUE.

    PATH may begin with the operation, as in CreateModel.EnableNetworkIsolation. VALUE is JSON, or a string
    without quotes; null removes the parameter.

    Raises:
        click.UsageError: no parameter has this path, or several requests have it.
    """
    requests = list(requests)
    for setting in settings:
        path, equals, text = setting.partition("=")
        try:
            if not equals:
                raise ValueError("expected PATH=VALUE")
            index, names = _target(requests, path.split("."))
            request = requests[index]
            parameters = _replace(input_shape(*request[:2]), request.parameters, names, text)
            requests[index] = request._replace(parameters=parameters)
        except ValueError as error:
            raise click.UsageError(f"--set {path}: {error}") from error
    return requests


def _target(requests: list[Request], names: list[str]) -> tuple[int, list[str]]:
    """The index of the request that a path belongs to, and the path below it."""
    operations = [request.operation for request in requests]
    if names[0] in operations:
        return operations.index(names[0]), names[1:]
    members = [input_shape(*request[:2]).members for request in requests]
    matches = [index for index, names_of_request in enumerate(members) if names[0] in names_of_request]
    if not matches:
        raise ValueError(_unknown(names[0], " or ".join(operations), [*operations, *set().union(*members)]))
    if len(matches) > 1:
        choices = " or ".join(operations[index] for index in matches)
        raise ValueError(f"begin the path with the operation: {choices}")
    return matches[0], names


def _unknown(name: str, place: str, known: Iterable[str]) -> str:
    nearest = get_close_matches(name, list(known), 1)
    return f"{place} has no {name}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _replace(shape: Any, value: Any, names: list[str], text: str) -> Any:
    """A copy of a value whose member at the path ``names`` is parsed from the text."""
    if not names:
        return _parse(shape, text)
    name, *rest = names
    if shape.type_name == "list":
        items = list(value or ())
        if not name.isdecimal() or int(name) > len(items):
            raise ValueError(f"{name} is no index of a list of {len(items)}")
        items[int(name) : int(name) + 1] = [
            _replace(shape.member, dict(enumerate(items)).get(int(name)), rest, text)
        ]
        return [item for item in items if item is not None]
    if shape.type_name not in ("structure", "map"):
        raise ValueError(f"a {shape.type_name} has no {name}")
    if shape.type_name == "structure" and name not in shape.members:
        raise ValueError(_unknown(name, shape.name, shape.members))
    member = shape.value if shape.type_name == "map" else shape.members[name]
    members = dict(value or {})
    members[name] = _replace(member, members.get(name), rest, text)
    return {name: member for name, member in members.items() if member is not None}


def _parse(shape: Any, text: str) -> Any:
    """A value of the shape's type; the check of the request reports a wrong type."""
    if shape.type_name == "string" and text != "null" and not text.startswith('"'):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
