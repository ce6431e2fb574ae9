"""Fuzz a running server over HTTP and report the faults of its answers.

Half of the requests are valid HTTP, made by schemathesis from docs/openapi.yaml or with hostile bodies. The
other half are malformed. The same seed gives the same requests; several processes send them at once.
"""

import json
import multiprocessing
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from tests.image import broken_http, exchanges
from tests.image.raw_http import HTTP_09, Answer, Exchange, HangError, send
from tests.support import openapi

# Far above the time of any request, even on a slow machine.
SECONDS = 60
PROCESSES = 4
# Requests of one run of hypothesis, which keeps every example in memory.
CHUNK = 250
MOST_FAULTS = 20

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
ECHOED = ATTRIBUTES.lower()
PRINTABLE = re.compile(r"[!-~]([ -~]*[!-~])?")

# Parts of Python's and Java's tracebacks, and paths in the image.
LEAK = re.compile(rb'Traceback|File "|Error: |Exception: |\bat [\w.$]+\(|/opt/|site-packages')


class Fault(NamedTuple):
    """A fault: a constant summary, and the details."""

    what: str
    seen: str


@dataclass
class Report:
    """Exchanges and faults.

    Attributes:
        sent: number of exchanges, by kind.
        answers: number of answers, by kind and status.
        faults: number of each fault, and one example.
    """

    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)

    def fault(self, what: str, example: str, count: int = 1) -> None:
        """Add a fault."""
        before, first = self.faults.get(what, (0, example))
        self.faults[what] = (before + count, first)

    def explain(self) -> str:
        """The faults as text."""
        return "\n".join(
            f"{count} times: {what}; such as: {example}" for what, (count, example) in self.faults.items()
        )

    def add(self, other: "Report") -> None:
        """Add the report of another process."""
        self.sent += other.sent
        self.answers += other.answers
        for what, (count, example) in other.faults.items():
            self.fault(what, example, count)


def run(
    address: tuple[str, int], count: int, seed: int, processes: int = PROCESSES, *, batch: bool = False
) -> Report:
    """Send ``count`` exchanges to a server; ``batch``: it answers as in batch transform."""
    report = Report()
    shares = [count // processes + (i < count % processes) for i in range(processes)]
    seeds = [seed * processes + i for i in range(processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(_run_share, [address] * processes, shares, seeds, [batch] * processes):
            report.add(part)
    return report


def _run_share(address: tuple[str, int], count: int, seed: int, batch: bool) -> Report:
    report, chunk = Report(), 0
    fuzzer = Fuzzer(address, report, batch=batch)
    while (left := count - report.sent.total()) and len(report.faults) < MOST_FAULTS:
        fuzzer.run(min(left, CHUNK), seed * 10**6 + chunk)
        chunk += 1
    return report


class Fuzzer:
    """Sends exchanges one after another and adds the results to a report."""

    def __init__(self, address: tuple[str, int], report: Report, *, batch: bool = False) -> None:
        self._address = address
        self._report = report
        self._batch = batch
        self._session = requests.Session()
        self._schema = openapi.load()

    def run(self, count: int, seed: int) -> None:
        """Send ``count`` exchanges."""

        @seeded(seed)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(self._anything())
        def send_one(sent: Any) -> None:
            if self._report.sent.total() < total:
                self._send(sent, seed)

        total = self._report.sent.total() + count
        send_one()

    def _anything(self) -> st.SearchStrategy[Any]:
        kinds = [
            *[self._schema_cases()] * 8,
            *[exchanges.predictions(batch=self._batch)] * 7,
            exchanges.predictions(exchanges.large_bodies, batch=self._batch),
            *[exchanges.routes()] * 3,
            exchanges.pipelined(batch=self._batch),
            exchanges.broken_off(),
            *[exchanges.mutated()] * 2,
            exchanges.dripping(),
            *[broken_http.headers()] * 3,
            *[broken_http.framing()] * 4,
            *[broken_http.lines()] * 2,
        ]
        return st.integers(0, len(kinds) - 1).flatmap(lambda kind: kinds[kind])

    def _schema_cases(self) -> st.SearchStrategy[Any]:
        invocations = self._schema["/invocations"]["POST"]
        return st.one_of(
            invocations.as_strategy(),
            invocations.as_strategy(generation_mode=GenerationMode.NEGATIVE),
            *[
                self._schema[path]["GET"].as_strategy()
                for path in ("/ping", "/metrics", "/execution-parameters")
            ],
        )

    def _send(self, sent: Any, seed: int) -> None:
        kind = sent.kind if isinstance(sent, Exchange) else "schema"
        self._report.sent[kind] += 1
        try:
            faults = list(self._send_exchange(sent) if isinstance(sent, Exchange) else self._send_case(sent))
        except (HangError, requests.RequestException, OSError, ValueError) as error:
            faults = [Fault(f"{kind}: {type(error).__name__}", str(error))]
        for fault in faults:
            self._report.fault(fault.what, f"{fault.seen}; seed {seed}, {sent!r}")

    def _send_case(self, case: Any) -> Iterator[Fault]:
        host, port = self._address
        response = case.call(base_url=f"http://{host}:{port}", session=self._session, timeout=SECONDS)
        self._report.answers["schema", response.status_code] += 1
        headers = {name: values[0] for name, values in response.headers.items()}
        yield from answer_faults(Answer(response.status_code, headers, response.content))
        sent = case.headers.get(ATTRIBUTES, "")
        if response.status_code == 200 and PRINTABLE.fullmatch(sent) and sent != headers.get(ECHOED):
            yield Fault(f"{ATTRIBUTES} did not come back", str(headers))
        try:
            case.validate_response(response, checks=CONFORMANCE)
        except BaseExceptionGroup as group:
            yield from (Fault(type(failure).__name__, str(failure)) for failure in group.exceptions)

    def _send_exchange(self, exchange: Exchange) -> Iterator[Fault]:
        answers = send(self._address, exchange, SECONDS)
        for answer in answers:
            self._report.answers[exchange.kind, answer.status] += 1
            yield from answer_faults(answer)
        yield from exchange_faults(exchange, answers)


CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def answer_faults(answer: Answer) -> Iterator[Fault]:
    """Faults of an answer, independent of its request."""
    seen = f"{answer.status} {answer.headers} {answer.body[:1000]!r}"
    if answer.status >= 500 and answer.status != 503:
        yield Fault(f"status {answer.status}", seen)
    if leak := LEAK.search(answer.body):
        yield Fault(f"{leak[0]!r} in an answer", seen)
    if answer.status == 405 and not answer.headers.get("allow"):
        yield Fault("405 without the header Allow", seen)
    if answer.status == 503 and not answer.headers.get("retry-after"):
        yield Fault("503 without the header Retry-After", seen)
    if answer.status >= 400 and answer.body and not _is_reason(answer):
        yield Fault(f"status {answer.status} without a reason in JSON", seen)


def _is_reason(answer: Answer) -> bool:
    try:
        content = json.loads(answer.body)
    except ValueError:
        return False
    names = set(content) if isinstance(content, dict) else set()
    is_json = answer.headers.get("content-type") == "application/json"
    return is_json and names in ({"error"}, {"code", "type", "message"})


def exchange_faults(exchange: Exchange, answers: list[Answer]) -> Iterator[Fault]:
    """Faults of the answers to an exchange."""
    statuses = [answer.status for answer in answers]
    if len(answers) > exchange.most and HTTP_09 not in statuses:
        yield Fault(f"{exchange.kind}: too many answers", f"{statuses}, expected at most {exchange.most}")
    if len(answers) < len(exchange.statuses):
        yield Fault(f"{exchange.kind}: missing answers", f"{statuses}, expected {len(exchange.statuses)}")
    for answer, allowed in zip(answers, exchange.statuses, strict=False):
        seen = f"{answer.status} {answer.body[:300]!r}, expected {allowed}"
        if answer.status not in allowed and answer.status != 503:
            yield Fault(f"{exchange.kind}: unexpected status", seen)
        elif answer.status != 200 or exchange.records is None:
            continue
        elif exchange.records != (found := _count_records(answer)):
            yield Fault("a number of records that is not that of the texts", f"{found}: {seen}")


def _count_records(answer: Answer) -> int:
    if answer.headers.get("content-type") == "application/json":
        return len(json.loads(answer.body))
    return len(answer.body.split(b"\n")) if answer.body else 0
