from seedbed.registry.conformance import MetricContract


class TestMetrics(MetricContract):
    """Every built-in of this kind."""
