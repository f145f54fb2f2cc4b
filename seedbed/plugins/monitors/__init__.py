"""Built-in monitors: who watches a run, and where it is told."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import MonitorSpec, hookimpl


@hookimpl
def register_monitors() -> Iterator[MonitorSpec]:
    """Offer a live view for terminals, plain lines for everything else, and the log for products."""
    yield MonitorSpec(
        name="console",
        summary="A live view in the terminal: time, trials under way, the best so far; else plain lines.",
        build="seedbed.plugins.monitors.console:console",
    )
    yield MonitorSpec(
        name="plain",
        summary="One line on stderr for each thing that matters; fits the log of a continuous integration.",
        build="seedbed.plugins.monitors.plain:plain",
    )
    yield MonitorSpec(
        name="log",
        summary="Every event to the logger 'seedbed.run'.",
        build="seedbed.plugins.monitors.log:log_events",
    )
