from seedbed.registry.conformance import ExporterContract


class TestExporters(ExporterContract):
    """Every built-in of this kind."""
