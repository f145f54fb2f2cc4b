from seedbed.registry.conformance import RuleContract


class TestRules(RuleContract):
    """Every built-in of this kind."""
