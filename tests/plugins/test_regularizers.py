from seedbed.registry.conformance import RegularizerContract


class TestRegularizers(RegularizerContract):
    """Every built-in of this kind."""
