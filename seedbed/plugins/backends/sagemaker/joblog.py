"""The log of a training job, read as it grows: a line for each event, with the attempt and the number of the line."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from seedbed.container_lines import heard
from seedbed.core.errors import DataError
from seedbed.core.search.events import Event
from seedbed.plugins.amazon.account import code_of

log = logging.getLogger(__name__)

GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(slots=True)
class JobLog:
    """What a job has told so far; each call of `news` reads on from where the last one ended.

    A machine that is started anew writes into a stream of its own. What an earlier start still says once a later one
    has begun is dropped, and so is a line that was read before.
    """

    client: Any
    name: str
    group: str = GROUP
    _tokens: dict[str, str] = field(default_factory=dict)
    _attempt: int = 0
    _number: int = 0
    rest: list[str] = field(default_factory=list)
    """The last lines that are no events: what a failure is explained with."""

    def news(self) -> list[Event]:
        """Return the events that have come since the last call.

        Raises:
            ClientError: the service refuses to show the log.
        """
        before = dict(self._tokens)
        try:
            lines = [line for stream in self._streams() for line in self._read(stream)]
        except BaseException:
            self._tokens = before  # what was read so far is read again
            raise
        return [event for line in lines if (event := self._understand(line)) is not None]

    def _streams(self) -> list[str]:
        try:
            told = self.client.describe_log_streams(logGroupName=self.group, logStreamNamePrefix=f"{self.name}/")
        except Exception as error:
            if code_of(error) == "ResourceNotFoundException":  # it has not said anything yet
                return []
            raise
        return sorted(each["logStreamName"] for each in told["logStreams"])

    def _read(self, stream: str) -> list[str]:
        lines: list[str] = []
        while True:
            token = self._tokens.get(stream)
            more = {"nextToken": token} if token else {}
            told = self.client.get_log_events(logGroupName=self.group, logStreamName=stream, startFromHead=True, **more)
            lines += [each["message"] for each in told["events"]]
            after = told["nextForwardToken"]
            self._tokens[stream] = after
            if after == token or not told["events"]:
                return lines

    def _understand(self, line: str) -> Event | None:
        """Return the event that a line tells, if it is one and is news."""
        try:
            found = heard(line)
        except DataError as error:
            log.warning("In the log of %s: %s", self.name, error)
            return None
        if found is None:
            self.rest = [*self.rest, line][-20:]
            return None
        if (found.attempt, found.number) <= (self._attempt, self._number):
            return None
        self._attempt, self._number = found.attempt, found.number
        return found.event
