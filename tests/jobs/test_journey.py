"""From reviews to predictions and back to nothing, every command in turn."""

from tests.jobs.conftest import Call


def test_every_command_succeeds(whole_journey: list[Call]) -> None:
    """The fixture runs them; here is what they are for."""
    operations = [operation for _, operation in whole_journey]
    journey = [
        "CreateBucket", "PutObject", "CreateTrainingJob", "CreateModelPackage", "GetLogEvents",
        "CreateHyperParameterTuningJob", "CreateEndpoint", "RegisterScalableTarget", "ListEndpoints",
        "CreateTransformJob", "DeregisterScalableTarget", "DeleteEndpoint", "DeleteModel",
    ]  # fmt: skip
    positions = [operations.index(operation) for operation in journey[:-1]]
    assert positions == sorted(positions)
    assert operations[-1] == journey[-1]
