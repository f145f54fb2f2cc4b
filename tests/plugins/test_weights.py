from seedbed.registry.conformance import WeightsContract


class TestWeights(WeightsContract):
    """Every built-in of this kind."""
