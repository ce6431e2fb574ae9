"""Metrics in Prometheus' text format, counted from the request log and read from the workers' status files.

nginx logs every answer, its refusals included, and the log passes through this process: no worker is asked.
The official client library would take a millisecond more for an answer, twice as long as a ping, and a tenth
of a second with 100 models; the tests parse the answers with it.
"""

import re
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from byoc.package import package_name
from byoc.version import version
from serving.model_registry import ModelError, ModelRegistry
from serving.settings import Settings

# https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Upper bounds of the buckets.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# Field of the request log and buckets by name.
HISTOGRAMS: dict[str, tuple[str, Sequence[float]]] = {
    "byoc_request_duration_seconds": ("latency", SECONDS),
    "byoc_queue_duration_seconds": ("queue_seconds", SECONDS),
    "byoc_batch_size": ("batch_size", REQUESTS),
}
# Type and description by name.
FAMILIES = {
    "byoc_requests_total": ("counter", "Answered requests by class of status."),
    "byoc_request_duration_seconds": ("histogram", "First byte of a request to last byte of its answer."),
    "byoc_queue_duration_seconds": ("histogram", "Last byte of a predicted request to its worker."),
    "byoc_batch_size": ("histogram", "Requests in the batch of a predicted request."),
    "byoc_texts_total": ("counter", "Predicted texts."),
    "byoc_characters_total": ("counter", "Characters of all texts."),
    "byoc_requests_in_flight": ("gauge", "Requests being received, in work or being answered."),
    "byoc_workers_ready": ("gauge", "Workers that have loaded the model."),
    "byoc_workers_busy": ("gauge", "Workers that answer requests."),
    "byoc_worker_restarts_total": ("counter", "Workers that replaced a dead worker."),
    "byoc_model_load_seconds": ("gauge", "Time of the latest load by a worker."),
    "byoc_build_info": ("gauge", "Version of the program, model package and arithmetic."),
}


class _Distribution:
    """A histogram with these upper bounds, or without bounds a summary."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, labels: str) -> Iterator[tuple[str, float]]:
        """Suffix with labels, and value."""
        if self._bounds:
            for bound, count in zip([*self._bounds, "+Inf"], accumulate(self._counts), strict=True):
                yield f'_bucket{{{labels},le="{bound}"}}', count
        yield f"_sum{{{labels}}}", self._sum
        yield f"_count{{{labels}}}", sum(self._counts)


class Metrics:
    """Counts requests by model; requests to no loaded model have an empty name, which bounds the labels."""

    def __init__(self, settings: Settings, models: ModelRegistry) -> None:
        self._models = models
        self._invoke = re.compile(r"/models/([^/]+)/invoke" if settings.multi_model else "/invocations()")
        package = re.sub(r"\W", "_", package_name().rpartition(".")[2], flags=re.ASCII)
        of_model = {f"{package}_{name}": (name, ()) for name in settings.metric_names}
        self._fields = HISTOGRAMS | of_model
        self._families = FAMILIES | dict.fromkeys(of_model, ("summary", "Metric of the model, per request."))
        build = {"version": version(), "package": package_name(), "precision": settings.precision}
        self._build = ",".join(f'{name}="{value}"' for name, value in build.items())
        # By model, then by family and its further labels.
        self._counters: dict[str, Counter[tuple[str, str]]] = {}
        self._distributions: dict[str, dict[str, _Distribution]] = {}
        self._lock = threading.Lock()

    def observe(self, request: Mapping[str, Any]) -> None:
        """Count a line of the request log."""
        model = self._loaded_model(request["path"])
        with self._lock:
            if model not in self._counters:
                self._counters[model] = Counter()
                self._distributions[model] = {
                    name: _Distribution(bounds) for name, (_, bounds) in self._fields.items()
                }
            counters, distributions = self._counters[model], self._distributions[model]
            counters["byoc_requests_total", f',status="{request["status"] // 100}xx"'] += 1
            for name, (field, _) in self._fields.items():
                if field in request:
                    distributions[name].observe(request[field])
            for name in ("texts", "characters"):
                counters[f"byoc_{name}_total", ""] += request.get(name, 0)

    def _loaded_model(self, path: str) -> str:
        match = self._invoke.fullmatch(path)
        try:
            return self._models.get(match[1] or "model").name if match else ""
        except ModelError:
            return ""

    def render(self, in_flight: int) -> bytes:
        """All metrics; the series of an unloaded model end."""
        models = self._models.all()
        samples: dict[str, list[tuple[str, float]]] = {name: [] for name in self._families}
        samples["byoc_requests_in_flight"].append(("", in_flight))
        samples["byoc_build_info"].append((f"{{{self._build}}}", 1))
        with self._lock:
            for name in {*self._counters} - {"", *(model.name for model in models)}:
                del self._counters[name], self._distributions[name]
            for name, counters in self._counters.items():
                for (family, labels), count in counters.items():
                    samples[family].append((f'{{model="{name}"{labels}}}', count))
                for family, distribution in self._distributions[name].items():
                    samples[family] += distribution.samples(f'model="{name}"')
        for model in models:
            workers = self._models.workers(model.name)
            loads = self._models.load_seconds(model.name)
            for family, value in {
                "byoc_workers_ready": len(workers),
                "byoc_workers_busy": sum(worker.busy_seconds > 0 for worker in workers),
                "byoc_worker_restarts_total": max(0, len(loads) - model.workers),
                **({"byoc_model_load_seconds": loads[-1]} if loads else {}),
            }.items():
                samples[family].append((f'{{model="{model.name}"}}', value))
        lines = []
        for family, (kind, description) in self._families.items():
            lines += [f"# HELP {family} {description}", f"# TYPE {family} {kind}"]
            lines += [f"{family}{sample} {value}" for sample, value in samples[family]]
        return "\n".join([*lines, ""]).encode()
