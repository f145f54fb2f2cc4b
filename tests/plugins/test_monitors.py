from seedbed.registry.conformance import MonitorContract


class TestMonitors(MonitorContract):
    """Every built-in of this kind."""
