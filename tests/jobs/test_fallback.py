"""Running a job on the first instance type that has quota and capacity."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from jobs import fallback
from tests.jobs.conftest import Call, Run, Session, best_job, shown, training_job, tuning_job

pytestmark = pytest.mark.usefixtures("uploaded")
TRAIN = ["train", "--name", "sentiment-1"]
TYPES = ["--instance-type", "ml.g5.xlarge", "--instance-type", "ml.c5.2xlarge"]
NO_QUOTA = (
    "The account-level service limit '{} for training job usage' is 0 Instances, "
    "with current utilization of 0 Instances and a request delta of 1 Instances."
)
CAPACITY = "CapacityError: Unable to provision requested ML compute capacity."


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.wait._pause", lambda _display: None)


def refuse(sagemaker: Stubber, operation: str, name: str, code: str = "ResourceLimitExceeded") -> None:
    sagemaker.add_client_error(operation, code, NO_QUOTA.format(name))


def created(run: Run, *arguments: str) -> dict[str, Any]:
    return shown(run(*TRAIN, *arguments, "--dry-run"), "CreateTrainingJob")


def test_types_become_preferences(run: Run) -> None:
    assert created(run, *TYPES)["ResourceConfig"] == {
        "InstancePreferences": [{"InstanceType": "ml.g5.xlarge"}, {"InstanceType": "ml.c5.2xlarge"}],
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    }


def test_spot_request_has_first_type(run: Run) -> None:
    result = run(*TRAIN, *TYPES, "--spot", "--dry-run")
    assert shown(result, "CreateTrainingJob")["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert "1 x ml.g5.xlarge or ml.c5.2xlarge" in result.stderr


def test_no_fallback_requests_first_type(run: Run) -> None:
    assert created(run, "--no-fallback")["ResourceConfig"]["InstanceType"] == "ml.p3.2xlarge"


def test_more_than_five_types_are_refused(run: Run) -> None:
    assert "expected at most 5 types" in run(*TRAIN, *(TYPES * 3), code=2).stderr


def test_tuning_job_gets_instance_configs(run: Run) -> None:
    result = run("tune", "--dry-run", *TYPES, "--instance-count", "2")
    definition = shown(result, "CreateHyperParameterTuningJob")["TrainingJobDefinition"]
    configs = definition["HyperParameterTuningResourceConfig"]["InstanceConfigs"]
    assert [config["InstanceType"] for config in configs] == ["ml.g5.xlarge", "ml.c5.2xlarge"]
    assert {config["InstanceCount"] for config in configs} == {2}
    assert "ResourceConfig" not in definition


@pytest.mark.parametrize(("spot", "kind"), [([], "training"), (["--spot"], "spot training")])
def test_type_without_quota_is_left_out(run: Run, spot: list[str], kind: str) -> None:
    Session.quotas[f"ml.g5.xlarge for {kind} job usage"] = 1
    result = run(*TRAIN, *TYPES, *spot, "--instance-count", "2", "--dry-run")
    assert shown(result, "CreateTrainingJob")["ResourceConfig"]["InstanceType"] == "ml.c5.2xlarge"
    assert f"ml.g5.xlarge is left out: the quota 'ml.g5.xlarge for {kind} job usage' is 1" in result.stderr


def test_no_quota_at_all_is_an_error(run: Run) -> None:
    Session.quotas |= {f"{name} for training job usage": 0 for name in TYPES[1::2]}
    assert "no instance type has quota" in run(*TRAIN, *TYPES, code=1).stderr


def test_quotas_may_be_forbidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "ListServiceQuotas")

    monkeypatch.setattr(Session, "_list_quotas", refuse)
    assert len(created(run, *TYPES)["ResourceConfig"]["InstancePreferences"]) == 2


def test_refused_type_is_dropped(run: Run, sagemaker: Stubber) -> None:
    """The request keeps the job's name."""
    request = created(run, *TYPES)
    refuse(sagemaker, "create_training_job", "ml.g5.xlarge")
    resources = {"InstanceType": "ml.c5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    sagemaker.add_response(
        "create_training_job", {"TrainingJobArn": "a"}, request | {"ResourceConfig": resources}
    )
    sagemaker.add_response("describe_training_job", training_job("Completed"))
    result = run(*TRAIN, *TYPES)
    assert "ml.g5.xlarge refused" in result.stderr
    assert result.stdout == "s3://mine/model.tar.gz\n"


def test_refusal_falls_back_without_wait(run: Run, sagemaker: Stubber) -> None:
    refuse(sagemaker, "create_training_job", "ml.g5.xlarge")
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    run(*TRAIN, *TYPES, "--spot", "--no-wait")


def test_last_refusal_is_an_error(run: Run, sagemaker: Stubber) -> None:
    for name in TYPES[1::2]:
        refuse(sagemaker, "create_training_job", name)
    assert "ml.c5.2xlarge for training job usage" in run(*TRAIN, *TYPES, "--spot", code=1).stderr


def test_other_refusal_is_an_error(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("create_training_job", "ValidationException", "Could not access the role")
    assert "Could not access the role" in run(*TRAIN, *TYPES, code=1).stderr


@pytest.mark.parametrize(
    "ended",
    [
        training_job("Failed", FailureReason=CAPACITY),
        training_job("Stopped", SecondaryStatus="MaxWaitTimeExceeded"),
    ],
    ids=["capacity", "wait"],
)
def test_spot_job_without_capacity_is_replaced(run: Run, sagemaker: Stubber, ended: dict[str, Any]) -> None:
    """The replacement has a name and a tag, and resumes from the same checkpoints."""
    request = created(run, *TYPES, "--spot")
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"}, request)
    sagemaker.add_response("describe_training_job", ended)
    second = request | {
        "TrainingJobName": "sentiment-1-2",
        "ResourceConfig": request["ResourceConfig"] | {"InstanceType": "ml.c5.2xlarge"},
        "Tags": [*request["Tags"], {"Key": "replaces", "Value": "sentiment-1"}],
    }
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"}, second)
    done = training_job("Completed", TrainingJobName="sentiment-1-2")
    sagemaker.add_response("describe_training_job", done, {"TrainingJobName": "sentiment-1-2"})
    result = run(*TRAIN, *TYPES, "--spot")
    assert result.stdout == "s3://mine/model.tar.gz\n"
    assert "next: python -m jobs deploy sentiment-1-2\n" in result.stderr


def test_failed_script_is_not_replaced(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    failed = training_job("Failed", FailureReason="AlgorithmError: no reviews")
    sagemaker.add_response("describe_training_job", failed)
    assert "AlgorithmError: no reviews" in run(*TRAIN, *TYPES, "--spot", code=1).stderr


def test_tuning_job_falls_back(run: Run, sagemaker: Stubber) -> None:
    refuse(sagemaker, "create_hyper_parameter_tuning_job", "ml.g5.xlarge")
    sagemaker.add_response("create_hyper_parameter_tuning_job", {"HyperParameterTuningJobArn": "a"})
    sagemaker.add_response(
        "describe_hyper_parameter_tuning_job", tuning_job("Completed", **best_job(dropout="0.4"))
    )
    assert run("tune", "--name", "t", *TYPES).stdout == "dropout=0.4\n"


@pytest.mark.parametrize(("name", "expected"), [("a", "a-3"), ("a" * 63, "a" * 61 + "-3")])
def test_attempt_name_fits_limit(name: str, expected: str) -> None:
    assert fallback.job_name(name, 3) == expected


def test_quotas_are_listed(run: Run, calls: list[Call]) -> None:
    created(run, *TYPES)
    assert Call("service-quotas", "ListServiceQuotas") in calls
