"""docs/openapi.yaml is valid and agrees with the code."""

import copy
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
import schemathesis
from schemathesis.core.failures import Failure

import sentiment
from byoc.errors import MalformedBodyError, RequestError
from byoc.model import Result
from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT, Limits
from byoc.serving.response import Fields, encode
from serving.metrics import CONTENT_TYPE, Metrics
from serving.model_registry import ModelRegistry
from serving.settings import Settings
from tests.support import openapi

FIELDS = Fields(sentiment.csv_fields, sentiment.plain_field)
ANSWERS: list[Result | RequestError] = [
    {"label": "positive", "score": 0.97, "probability": 0.97, "truncated": True},
    MalformedBodyError('line 2, column 1: "not" JSON'),
    {"label": "negative", "score": 1, "probability": 0, "warning": "83 % unknown words"},
    {"label": None, "score": None, "probability": None, "warning": "no known word"},
]


@pytest.fixture(scope="module")
def description() -> Any:
    return openapi.load().raw_schema


def test_description_is_valid() -> None:
    openapi.load().validate()


def test_invalid_description_is_refused(description: Any) -> None:
    broken = copy.deepcopy(description)
    del broken["paths"]["/ping"]["get"]["responses"]["200"]["description"]
    with pytest.raises(ValueError, match='"description" is a required property'):
        schemathesis.openapi.from_dict(broken).validate()


def test_content_types_are_those_of_code(description: Any) -> None:
    operation = description["paths"]["/invocations"]["post"]
    assert set(operation["requestBody"]["content"]) == {JSON, JSON_LINES, CSV, TEXT}
    assert set(operation["responses"]["200"]["content"]) == {JSON, JSON_LINES, CSV, TEXT}


def test_every_refusal_is_described(description: Any) -> None:
    errors: list[type[RequestError]] = [RequestError, *RequestError.__subclasses__()]
    statuses = {str(error.status) for error in errors}
    assert statuses <= set(description["paths"]["/invocations"]["post"]["responses"])


def test_limits_are_those_of_code(description: Any) -> None:
    schemas = description["components"]["schemas"]
    assert schemas["Texts"]["maxItems"] == Limits().texts


@pytest.mark.parametrize("media_type", [JSON, JSON_LINES, CSV, TEXT])
def test_answers_with_errors_match_description(media_type: str) -> None:
    check(encode(ANSWERS, media_type, FIELDS), media_type)


def test_metrics_match_description() -> None:
    metrics = Metrics(Settings.from_environment({}), cast(ModelRegistry, SimpleNamespace(all=list)))
    check(metrics.render(0), CONTENT_TYPE, "/metrics", "GET")


@pytest.mark.parametrize("media_type", [JSON, JSON_LINES, CSV])
def test_wrong_answer_violates_description(media_type: str) -> None:
    with pytest.raises(Failure, match="violates schema"):
        check(encode(ANSWERS, media_type, FIELDS).replace(b"positive", b"good"), media_type)


def check(body: bytes, media_type: str, path: str = "/invocations", method: str = "POST") -> None:
    request = requests.Request(method, f"http://localhost{path}").prepare()
    response = schemathesis.Response(
        status_code=200,
        headers={"content-type": [media_type]},
        content=body,
        request=request,
        elapsed=0,
        verify=False,
    )
    openapi.load()[path][method].validate_response(response)
