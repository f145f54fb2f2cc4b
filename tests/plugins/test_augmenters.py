from seedbed.registry.conformance import AugmenterContract


class TestAugmenters(AugmenterContract):
    """Every built-in of this kind."""
