"""Resources, and their descriptions."""

from jobs.resources import TRAINING, TUNING, Resource
from tests.jobs.conftest import training_job


def test_metrics_of_training_job() -> None:
    metrics = [{"MetricName": "validation_accuracy", "Value": 0.89084, "Timestamp": 0}]
    resource = Resource(TRAINING, "sentiment-1", training_job("InProgress", FinalMetricDataList=metrics))
    assert resource.metrics == ["validation_accuracy=0.8908"]


def test_metrics_of_tuning_job() -> None:
    best = {
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation_accuracy", "Value": 0.9}
    }
    description = {
        "HyperParameterTuningJobStatus": "InProgress",
        "TrainingJobStatusCounters": {"Completed": 2, "InProgress": 1, "RetryableError": 0},
        "BestTrainingJob": best,
    }
    assert Resource(TUNING, "sentiment-t", description).metrics == [
        "Completed=2",
        "InProgress=1",
        "validation_accuracy=0.9000",
    ]
