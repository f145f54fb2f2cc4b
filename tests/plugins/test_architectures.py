from seedbed.registry.conformance import ArchitectureContract


class TestArchitectures(ArchitectureContract):
    """Every built-in of this kind."""
