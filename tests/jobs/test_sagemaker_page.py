"""Every ``--set`` of docs/sagemaker.md and docs/clarify.md, and its requests, are valid."""

import json
import re
import shlex
from pathlib import Path

import pytest

from jobs import validation
from tests.jobs.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sagemaker.md").read_text("utf-8")
LINES = re.findall(r"\| `([a-z]+ .*--set .*)` \|", PAGE)
SERVICES = {"CreateInferenceComponent": "sagemaker", "RegisterScalableTarget": "application-autoscaling"}


@pytest.mark.parametrize("line", LINES)
def test_set_is_sent(run: Run, trained: str, to_predict_folder: Path, line: str) -> None:
    command = shlex.split(line.replace("JOB", trained))
    if command[0] == "transform":
        run("upload", to_predict_folder, "--channel", "to-predict")
    requests = json.loads(run(*command, "--dry-run").stdout)
    sent = json.dumps([request["parameters"] for request in requests])
    for setting in re.findall(r"--set '?(\S+?)=", line):
        assert setting.rpartition(".")[2] in sent or f"{setting}=null" in line


def test_explainer_configuration_is_sent(run: Run, trained: str) -> None:
    page = (ROOT / "docs" / "clarify.md").read_text("utf-8")
    (block,) = re.findall(r"```bash\npython -m jobs (.*?)```", page, re.DOTALL)
    requests = json.loads(run(*shlex.split(block.replace("sentiment-1", trained)), "--dry-run").stdout)
    (config,) = [r["parameters"] for r in requests if r["operation"] == "CreateEndpointConfig"]
    shap = config["ExplainerConfig"]["ClarifyExplainerConfig"]["ShapConfig"]
    assert shap["TextConfig"] == {"Language": "en", "Granularity": "token"}


def test_table_names_every_feature() -> None:
    for parameter in ("KeepAlive", "RetryStrategy", "RemoteDebug", "TrainingPlan", "Mlflow", "ModelPackage"):
        assert any(parameter in line for line in LINES)


def test_inference_component_requests_are_valid() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    requests = json.loads(block)
    for operation, parameters in requests.items():
        validation.check(SERVICES[operation], operation, parameters)
    assert requests["RegisterScalableTarget"]["MinCapacity"] == 0
