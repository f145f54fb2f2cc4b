from seedbed.registry.conformance import BackendContract


class TestBackends(BackendContract):
    """Every built-in of this kind."""
