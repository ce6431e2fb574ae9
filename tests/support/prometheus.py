"""Answers in Prometheus' text format, read by the official client library."""

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


def families(body: bytes) -> dict[str, Metric]:
    """The metrics of an answer by name."""
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def value(body: bytes, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    samples = [sample for family in families(body).values() for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def buckets(body: bytes, name: str) -> dict[float, float]:
    """Cumulative counts of a histogram by upper bound, summed over its labels."""
    bounds = {s.labels["le"] for s in families(body)[name].samples if s.name == f"{name}_bucket"}
    return {float(bound): value(body, f"{name}_bucket", le=bound) for bound in bounds}
