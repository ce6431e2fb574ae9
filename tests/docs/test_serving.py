"""docs/serving.md agrees with the code: variables, routes, status codes, log."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sagemaker_inference import parameters

from byoc.errors import RequestError
from byoc.serving.json_log import LEVELS
from serving import nginx
from serving.metrics import Metrics
from serving.model_registry import ModelRegistry
from serving.settings import Settings, SettingsError

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "serving.md").read_text("utf-8")


def table(first_column: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    _, _, rest = DOCS.partition(f"| {first_column} |")
    assert rest, first_column
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]


VARIABLES = {row[0].strip("`"): row[1:] for row in table("variable")}


def first_arguments(path: Path) -> Iterator[tuple[str, object]]:
    """Calls in a module with a constant as first argument: the function and the constant."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        argument = node.args[0]
        if isinstance(argument, ast.Constant):
            yield ast.unparse(node.func), argument.value
        elif isinstance(argument, ast.Attribute) and ast.unparse(argument.value) == "parameters":
            yield ast.unparse(node.func), getattr(parameters, argument.attr)


def variables_read_by(path: Path) -> set[str]:
    """Variables that a module reads: first arguments in capitals."""
    names = {argument for _, argument in first_arguments(path) if isinstance(argument, str)}
    return {name for name in names if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", name)}


def test_variables_are_documented() -> None:
    modules = (ROOT / "container" / "serving" / "settings.py", ROOT / "code" / "inference.py")
    assert set(VARIABLES) == set().union(*map(variables_read_by, modules))


NUMBERS = {name: row for name, row in VARIABLES.items() if re.fullmatch(r"\d+ to \d+", row[1])}


@pytest.mark.parametrize("name", NUMBERS)
def test_ranges_are_documented(name: str) -> None:
    allowed = NUMBERS[name][1]
    with pytest.raises(SettingsError, match=f"{name}=.*: expected a whole number from {allowed}$"):
        Settings.from_environment({name: "x"})


@pytest.mark.parametrize("name", [name for name, row in NUMBERS.items() if row[0].isdigit()])
def test_defaults_are_documented(name: str) -> None:
    assert Settings.from_environment({name: NUMBERS[name][0]}) == Settings.from_environment({})


def test_log_levels_are_documented() -> None:
    default, allowed, _ = VARIABLES["SERVE_LOG_LEVEL"]
    assert (Settings.from_environment({}).log_level, ", ".join(LEVELS)) == (default, allowed)


SINGLE, MULTI = [
    set(re.findall(r"^\| `([A-Z]+ /\S*?)`", part, re.MULTILINE))
    for part in DOCS.partition("## Status codes")[0].split("SAGEMAKER_MULTI_MODEL=true")
]


@pytest.mark.parametrize(
    ("environment", "documented"),
    [({}, SINGLE), ({"SAGEMAKER_MULTI_MODEL": "true"}, MULTI | {"GET /ping", "HEAD /ping", "GET /metrics"})],
    ids=["one model", "many models"],
)
def test_routes_are_documented(environment: dict[str, str], documented: set[str]) -> None:
    configuration = nginx.configuration(Settings.from_environment(environment), Path("/x"))
    listed = re.search(r'no such route; expected ([^"]*)', configuration)
    assert listed is not None
    routes = [route.rpartition(" ") for route in listed[1].split(", ")]
    assert documented == {
        f"{method} {path}" for methods, _, path in routes for method in methods.split(" or ")
    }


FIELDS = {name: row[1] for row in table("field of a request") for name in re.findall(r"`(\w+)`", row[0])}
# nginx joins adjacent strings.
CONFIGURATION = re.sub(r"'\s+'", "", nginx.configuration(Settings.from_environment({}), Path("/x")))


def test_request_log_fields_are_documented() -> None:
    formats = re.findall(r"log_format \w+ escape=json '(.*)';", CONFIGURATION)
    fields = [line.partition(',"_aws"')[0] for line in formats]
    logged = {name for line in fields for name in re.findall(r'"(\w+)":["$\d]', line)}
    assert set(FIELDS) == logged - {"time", "level", "source"}


def test_metric_units_are_documented() -> None:
    metrics = dict(re.findall(r'"Name":"(\w+)","Unit":"(\w+)"', CONFIGURATION))
    units = {name: "" if unit == "None" else unit.lower() for name, unit in metrics.items()}
    assert {name: FIELDS[name] for name in metrics} == units


def test_prometheus_metrics_are_documented() -> None:
    settings = Settings.from_environment({})
    exported = Metrics(settings, cast(ModelRegistry, SimpleNamespace(all=list))).render(0)
    documented = {name: row[1] for row in table("metric") for name in re.findall(r"`(\w+)`", row[0])}
    types = re.findall(r"^# TYPE (\w+) (\w+)$", exported.decode(), re.MULTILINE)
    assert documented == dict(types)


def test_metric_namespace_is_documented() -> None:
    assert f"namespace `{Settings.from_environment({}).metric_namespace}`" in DOCS


def test_status_codes_are_documented() -> None:
    configuration = nginx.configuration(Settings.from_environment({}), Path("/x"))
    answered = {int(status) for status in re.findall(r"return (\d{3}) '", configuration)}
    errors: list[type[RequestError]] = [RequestError, *RequestError.__subclasses__()]
    answered |= {error.status for error in errors}
    for name in ("management", "model_registry"):
        path = ROOT / "container" / "serving" / f"{name}.py"
        answered |= {int(str(status)) for call, status in first_arguments(path) if call == "ModelError"}
    assert {int(row[0]) for row in table("status")} == answered
