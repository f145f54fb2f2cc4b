from seedbed.registry.conformance import OptimizerContract


class TestOptimizers(OptimizerContract):
    """Every built-in of this kind."""
