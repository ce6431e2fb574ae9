"""All commands in the usual order of use."""

from tests.jobs.conftest import Call


def test_commands_call_expected_operations(all_calls: list[Call]) -> None:
    operations = [operation for _, operation in all_calls]
    expected = [
        "CreateBucket", "PutObject", "CreateTrainingJob", "CreateModelPackage", "GetLogEvents",
        "CreateHyperParameterTuningJob", "CreateEndpoint", "RegisterScalableTarget", "ListEndpoints",
        "CreateTransformJob", "DeregisterScalableTarget", "DeleteEndpoint", "DeleteModel",
    ]  # fmt: skip
    positions = [operations.index(operation) for operation in expected[:-1]]
    assert positions == sorted(positions)
    assert operations[-1] == expected[-1]
