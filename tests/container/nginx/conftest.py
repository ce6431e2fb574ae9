"""Running servers: one model, and many models."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.nginx_requests import ANSWER
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Request, Response


@pytest.fixture(scope="module")
def shared(nginx_program: str) -> Iterator[RunningNginx]:
    with running_nginx(nginx_program) as running:
        yield running


@pytest.fixture
def server(shared: RunningNginx) -> RunningNginx:
    """A server with default settings that answers every request."""
    shared.model, shared.management = lambda _request: ANSWER, lambda _request: Response()
    shared.asked.clear()
    return shared


@pytest.fixture(scope="module")
def many_models(nginx_program: str) -> Iterator[RunningNginx]:
    with running_nginx(nginx_program, SAGEMAKER_MULTI_MODEL="true") as running:
        yield running


@pytest.fixture
def multi(many_models: RunningNginx) -> RunningNginx:
    """A multi-model server whose upstreams answer with the request."""

    def echo(name: str, request: Request) -> Response:
        content = [name, request.method, request.path, request.body.decode()]
        return Response(200, json.dumps(content).encode())

    many_models.model = partial(echo, "model")
    many_models.management = partial(echo, "management")
    return many_models
