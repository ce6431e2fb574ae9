"""The request log: one JSON object a line, which CloudWatch takes for metrics as it is.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from collections.abc import Mapping

NAMESPACE = "SentimentLSTM"

# Figures of a request that the worker knows, and sends back for the log in headers of these names behind X-.
WORKER_FIGURES = ("batch-size", "queue-seconds", "texts", "characters", "unknown-share")


def directives(log_level: str) -> str:
    """Directives of nginx's for the log, of one of sentiment.json_log's levels."""
    statuses = {"debug": "", "info": "", "warning": "[45]", "error": "5"}[log_level]
    request = (
        '"time":"$time_iso8601","level":"$level","source":"request","method":"$method","path":"$path",'
        '"status":$status,"bytes":$request_length,"requests":1,"errors":$errors,"latency":$request_time'
    )
    figures = ",".join(
        f'"{name.replace("-", "_")}":$upstream_http_x_{name.replace("-", "_")}' for name in WORKER_FIGURES
    )
    counted = {"requests": "Count", "errors": "Count", "latency": "Seconds"}
    answered = {"batch_size": "Count", "queue_seconds": "Seconds", "unknown_share": "None"}
    return f"""
    # The caller's own, also where nginx answers with a page of errors.
    map $request_uri $path {{ default ""; "~^(?<own_path>[^?]*)" $own_path; }}
    map $request $method {{ default ""; "~^(?<own_method>[A-Z]+) " $own_method; }}
    # 507 tells the platform to unload another model first.
    map $status $level {{ default info; 507 info; ~^5 error; }}
    map $status $errors {{ default 0; ~^[45] 1; }}
    map $status $unhealthy {{ default 1; 200 ""; }}
    map $msec $milliseconds {{ "~^(?<s>[0-9]+)[.](?<ms>[0-9]+)$" $s$ms; }}
    map "$status:$upstream_http_x_texts" $log_answered {{ default ""; "~^{statuses}.*:." 1; }}
    map "$status:$upstream_http_x_texts" $log_refused {{ default ""; "~^{statuses}.*:$" 1; }}
    log_format answered escape=json '{{{request},{figures},{_embedded_metrics(counted | answered)}}}';
    log_format ping escape=json '{{{request}}}';
    log_format refused escape=json '{{{request},{_embedded_metrics(counted)}}}';
    access_log /dev/stdout answered if=$log_answered;
    access_log /dev/stdout refused if=$log_refused;"""


def _embedded_metrics(units: Mapping[str, str]) -> str:
    metrics = ",".join(f'{{"Name":"{name}","Unit":"{unit}"}}' for name, unit in units.items())
    return (
        '"_aws":{"Timestamp":$milliseconds,"CloudWatchMetrics":'
        f'[{{"Namespace":"{NAMESPACE}","Dimensions":[[]],"Metrics":[{metrics}]}}]}}'
    )
