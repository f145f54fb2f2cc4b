"""Requests to the rehearsal, and waiting for files, for its tests."""

from __future__ import annotations

import sys
import time
from pathlib import Path

WORKER = Path(__file__).with_name("contained_worker.py")
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/trainer:1"


def image(uri):
    return [sys.executable, "-u", str(WORKER)]


def prepare(rehearsal):
    """A bucket with a channel of two rows."""
    s3 = rehearsal.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="data/rows.csv", Body=b"1\n2\n")


def training(name, *, spot=False, **hyperparameters):
    """A request for a training job with checkpoints."""
    limits = {"MaxRuntimeInSeconds": 3600} | ({"MaxWaitTimeInSeconds": 7200} if spot else {})
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/", "S3DataDistributionType": "FullyReplicated"}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "HyperParameters": {key: str(value) for key, value in hyperparameters.items()},
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "val:loss", "Regex": "val_loss=([0-9.]+);"}],
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": limits,
        "CheckpointConfig": {"S3Uri": f"s3://bucket/checkpoints/{name}"},
        "EnableManagedSpotTraining": spot,
    }


def until(condition, seconds=60):
    """Wait for `condition`, which a worker or the rehearsal brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)
