"""nginx in front: the public port, its three routes, the limits, the request log."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from serving import request_log
from serving.settings import SMALL_BODY_BYTES, Settings

# SageMaker waits 2 seconds for the answer to a ping.
PING_MS = 1500
# SIGTERM to SIGKILL is 30 seconds; the rest of the program needs some of them.
DRAIN_SECONDS = 20
# Clients and requests that are handed on, together.
CONNECTIONS = 4096


def find() -> str | None:
    """The nginx of this machine, or None; Debian has it where only root looks for programs."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def command(program: str, folder: Path) -> list[str]:
    """The command that runs nginx with the configuration in ``folder``."""
    return [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def configuration(settings: Settings, folder: Path) -> str:
    """The configuration file."""
    # As root, nginx gives up its rights in the processes that talk to clients.
    user = "user nobody nogroup;" if os.geteuid() == 0 else ""
    routes = _multi_model_routes(settings) if settings.multi_model else _single_model_routes(settings)
    locations = "".join(_location(route) for route in routes)
    return f"""
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
# What clients do wrong is in the request log.
error_log stderr crit;
worker_shutdown_timeout {DRAIN_SECONDS}s;
events {{
    worker_connections {CONNECTIONS};
}}
http {{
    default_type application/json;
    types {{ }}
    server_tokens off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-unused;
    uwsgi_temp_path {folder}/nginx-unused;
    scgi_temp_path {folder}/nginx-unused;
{request_log.directives(settings.log_level)}
{_limits(settings)}
{_headers(routes)}
    upstream model_server {{
        server unix:{folder}/mms.sock max_fails=0;
        keepalive 64;
    }}
    upstream control {{
        server unix:{folder}/control.sock max_fails=0;
    }}
    proxy_http_version 1.1;
    # What a caller sends goes no further, but for these: everything else costs time, and nobody reads it.
    proxy_pass_request_headers off;
    proxy_set_header Connection "";
    proxy_set_header Host localhost;
    proxy_set_header Content-Type $http_content_type;
    proxy_set_header Accept $http_accept;
    proxy_set_header X-Amzn-SageMaker-Custom-Attributes $http_x_amzn_sagemaker_custom_attributes;
    proxy_set_header X-Received $msec;
    proxy_next_upstream off;
    # The model server cannot be told to stop working on a request.
    proxy_ignore_client_abort on;
    proxy_connect_timeout 5s;
    # Once while it waits for others, once while it is worked on.
    proxy_read_timeout {2 * settings.request_seconds + 5}s;
    # The model server's connections end where it answers with an error; the client's do not.
    proxy_buffers 16 16k;

    server {{
        listen {settings.port} backlog=1024;
        server_name _;
        merge_slashes off;
        keepalive_timeout 75s;
        keepalive_requests 1000000;
        # For what is left of a body that is refused.
        lingering_timeout 1s;
{_errors(routes)}
{locations}
        location / {{
            return 404;
        }}
    }}
}}
"""


class Route(NamedTuple):
    """A path, as nginx writes it; the methods that it has; and what nginx does for them."""

    path: str
    methods: tuple[str, ...]
    directives: str
    # For people.
    name: str


_PING = Route(
    "= /ping",
    ("GET",),
    f"""
            access_log /dev/stdout ping if=$unhealthy;
            proxy_pass http://control/ping;
            proxy_connect_timeout {PING_MS}ms;
            proxy_read_timeout {PING_MS}ms;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";""",
    "/ping",
)
_INVOKE = """
            limit_conn requests {in_flight};
            limit_conn large_requests {large_in_flight};
            set $args "";
            proxy_pass http://model_server/predictions/{model};"""
_CONTROL = """
            client_max_body_size 64k;
            proxy_pass http://control;
            proxy_read_timeout 300s;"""


def _single_model_routes(settings: Settings) -> tuple[Route, ...]:
    invoke = _INVOKE.format(model="model", **vars(settings))
    parameters = (
        f'{{"MaxConcurrentTransforms":{settings.transforms},"BatchStrategy":"MULTI_RECORD",'
        f'"MaxPayloadInMB":{settings.transform_mb}}}'
    )
    answer = f"""
            return 200 '{parameters}';"""
    return (
        _PING,
        Route("= /invocations", ("POST",), invoke, "/invocations"),
        Route("= /execution-parameters", ("GET",), answer, "/execution-parameters"),
    )


def _multi_model_routes(settings: Settings) -> tuple[Route, ...]:
    """As https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html gives them."""
    # By name: $1 is that of the latest pattern, which is the one of the methods.
    invoke = _INVOKE.format(model="$model", **vars(settings))
    return (
        _PING,
        Route("= /models", ("GET", "POST"), _CONTROL, "/models"),
        Route(r"~ ^/models/[\w.-]+$", ("GET", "DELETE"), _CONTROL, "/models/NAME"),
        Route(r"~ ^/models/(?<model>[\w.-]+)/invoke$", ("POST",), invoke, "/models/NAME/invoke"),
    )


def _location(route: Route) -> str:
    return f"""
        location {route.path} {{
            if ($request_method !~ ^({"|".join(route.methods)})$) {{
                return 405;
            }}{route.directives}
        }}"""


def _limits(settings: Settings) -> str:
    """Bodies, and how many requests at a time; SMALL_BODY_BYTES is the first number of seven digits."""
    digits = len(str(SMALL_BODY_BYTES))
    return f"""
    client_max_body_size {settings.body_bytes};
    client_body_buffer_size 64k;
    client_header_timeout 60s;
    client_body_timeout 60s;
    send_timeout 60s;
    large_client_header_buffers 4 16k;
    map "$content_length:$http_transfer_encoding" $large {{
        default "";
        "~^[0-9]{{{digits},}}:" large;
        "~^:." large;
    }}
    limit_conn_zone $server_port zone=requests:64k;
    limit_conn_zone $large zone=large_requests:64k;
    limit_conn_log_level info;
    limit_conn_status 503;"""


def _errors(routes: Sequence[Route]) -> str:
    """The answers that are nginx's own: a status and a reason, in JSON."""
    names = ", ".join(f"{' or '.join(route.methods)} {route.name}" for route in routes)
    reasons = {
        400: "the request is not HTTP as it should be",
        404: f"no such route; expected {names}",
        405: "this route has another method; see the header Allow",
        408: "the request did not arrive in time",
        413: "the body is larger than allowed; send less at a time, or set SAGEMAKER_MAX_PAYLOAD_IN_MB",
        414: "the path is too long",
        503: "too many requests at a time, or the model is not ready; try again",
    }
    # What nginx would answer in other cases, and with what it is answered instead.
    same_as = {400: (431, 494, 501, 505), 503: (502, 504)}
    answers = {status: f'return {status} \'{{"error":"{reason}"}}\';' for status, reason in reasons.items()}
    # nginx refuses TRACE on every path.
    answers[405] = f'if ($methods = "") {{ {answers[404]} }} {answers[405]}'
    lines = []
    for status, answer in answers.items():
        if status in (400, 414):
            # A request whose first line is none has no path, and from there no way leads to a named location.
            # What is wrong with it may be its body's length.
            page = f"/-{status}"
            lines.append(f"        location = {page} {{ internal; client_max_body_size 0; {answer} }}")
        else:
            page = f"@{status}"
            lines.append(f"        location {page} {{ {answer} }}")
        lines.append(f"        error_page {status} = {page};")
        lines += [f"        error_page {other} ={status} {page};" for other in same_as.get(status, ())]
    return "\n".join(lines)


def _headers(routes: Sequence[Route]) -> str:
    """Of answers: added where a status asks for them, an empty one being none, and hidden."""
    methods = "\n".join(
        f'        "{route.path.replace("= ", "").replace("~ ", "~")}" "{", ".join(route.methods)}";'
        for route in routes
    )
    names = (
        *(f"x-{name}" for name in request_log.WORKER_FIGURES),
        "x-request-id",
        "Pragma",
        "Cache-Control",
        "Expires",
    )
    hidden = "\n".join(f"    proxy_hide_header {name};" for name in names)
    return f"""
    map $uri $methods {{
        default "";
{methods}
    }}
    map $status $allow {{ default ""; 405 $methods; }}
    map $status $retry_after {{ default ""; 503 1; }}
    add_header Allow $allow always;
    add_header Retry-After $retry_after always;
{hidden}"""
