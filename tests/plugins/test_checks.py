from seedbed.registry.conformance import CheckContract


class TestChecks(CheckContract):
    """Every built-in of this kind."""
