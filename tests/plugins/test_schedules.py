from seedbed.registry.conformance import ScheduleContract


class TestSchedules(ScheduleContract):
    """Every built-in of this kind."""
