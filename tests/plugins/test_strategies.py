from seedbed.registry.conformance import StrategyContract


class TestStrategies(StrategyContract):
    """Every built-in of this kind."""
