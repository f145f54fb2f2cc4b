"""A tuning job under way: begun or joined, and looked at now and then from a thread of its own."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import msgspec

from seedbed.core.search import parcel
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.flat import to_rows
from seedbed.core.search.handover import Child, TuningRequest
from seedbed.plugins.amazon.account import code_of
from seedbed.plugins.backends.sagemaker.jobs import MISSING, Study, plugins_there, send_inputs
from seedbed.plugins.backends.sagemaker.requests import STUDY_TAG, channel, seconds_of
from seedbed.plugins.backends.sagemaker.tuning import SPACE, config

log = logging.getLogger(__name__)

_ENDED = ("Completed", "Failed", "Stopped")


class Tuner:
    """A tuning job whose jobs are like a trial of ours, but for the point that the service draws.

    Its jobs run the image's own `train`: the service lets a tuning job have no other entry point, so Seedbed must be
    installed in the image (docs/deploy.md has one).
    """

    def __init__(self, request: TuningRequest, like: TrialJob, study: Study, unix_now: float) -> None:
        self._study = study
        self._children: tuple[Child, ...] = ()
        self._is_over = False
        self._job = self._find() or self._create(request, like, unix_now)
        self._thread = threading.Thread(target=self._watch, name="seedbed-tuning", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The name of the tuning job; it may have 32 characters."""
        return f"seedbed-{self._study.id}-tune"

    def children(self) -> tuple[Child, ...]:
        """Return the jobs that the service had begun when it was last looked, the oldest first."""
        return self._children

    def is_over(self) -> bool:
        """Whether no further job will begin."""
        return self._is_over

    def end(self) -> None:
        """Have the service begin no further job, and end those that run."""
        if not self._is_over:
            try:
                self._job.stop()
            except Exception as error:
                if code_of(error) != "ValidationException":  # it has ended by itself
                    raise

    def _find(self) -> Any:  # noqa: ANN401 - the SDK is imported late
        from sagemaker.core.resources import HyperParameterTuningJob

        try:
            return HyperParameterTuningJob.get(self.name, **self._study.own)
        except Exception as error:
            if code_of(error) in MISSING:
                return None
            raise

    def _create(self, request: TuningRequest, like: TrialJob, unix_now: float) -> Any:  # noqa: ANN401
        from sagemaker.core.resources import HyperParameterTuningJob

        study = self._study
        return HyperParameterTuningJob.create(
            hyper_parameter_tuning_job_name=self.name,
            hyper_parameter_tuning_job_config=config(request, study.options.jobs),
            training_job_definition=self._definition(request, like, unix_now),
            tags=[{"key": STUDY_TAG, "value": study.id}],
            **study.own,
        )

    def _definition(self, request: TuningRequest, like: TrialJob, unix_now: float) -> dict[str, Any]:
        study, options = self._study, self._study.options
        channels, places = send_inputs(study, like)
        channels["code"] = study.courier.send_code(study.plugins, install=False)
        template = replace(like, fidelity=request.fidelity, not_after=None, to_beat=None, device="auto", resumable=True)
        order = {
            "job": {"kind": "TrialJob", **msgspec.to_builtins(parcel.relocated(template, places.__getitem__))},
            "plugins": plugins_there(study.plugins),
            "runner": options.runner,
            "tuned": True,
        }
        study.courier.put(msgspec.json.encode(order), "studies", study.id, "tuning", "job", "job.json")
        study.courier.put(msgspec.json.encode(to_rows(request.space)), "studies", study.id, "tuning", "job", SPACE)
        channels["job"] = study.account.uri("studies", study.id, "tuning", "job", "")
        return {
            "algorithm_specification": {
                "training_image": options.image,
                "training_input_mode": "File",
                "metric_definitions": [{"name": name, "regex": regex} for name, regex in study.metrics],
            },
            "role_arn": options.role,
            "input_data_config": [channel(name, uri) for name, uri in channels.items()],
            "output_data_config": {"s3_output_path": study.account.uri("studies", study.id, "output")},
            "checkpoint_config": {"s3_uri": study.account.uri("studies", study.id, "tuning", "checkpoints")},
            "resource_config": {
                "instance_type": options.instance_type,
                "instance_count": 1,
                "volume_size_in_gb": options.volume_gb,
            },
            "stopping_condition": {"max_runtime_in_seconds": seconds_of(template, options, unix_now)},
            "static_hyper_parameters": {},
            "environment": dict(study.environment),
        }

    def _watch(self) -> None:
        """Look at the tuning job and its children until it is over, or the run is left."""
        while not self._study.leaving.is_set():
            try:
                self._job.refresh()
                is_over = str(self._job.hyper_parameter_tuning_job_status) in _ENDED
                found = list(self._job.get_all_training_jobs(session=self._study.account.session))
            except Exception:  # a thread's border: the next look may do better
                log.warning("The tuning job %s cannot be looked at.", self.name, exc_info=True)
            else:
                found.sort(key=lambda each: each.creation_time)
                self._children = tuple(
                    Child(name=str(each.training_job_name), drawn=dict(each.tuned_hyper_parameters)) for each in found
                )
                self._is_over = is_over
                if is_over:
                    return
            self._study.leaving.wait(self._study.options.poll_seconds)
