from seedbed.registry.conformance import ReaderContract


class TestReaders(ReaderContract):
    """Every built-in of this kind."""

    def source(self, spec, folder):
        return "demo:digits" if "demo" in spec.schemes else super().source(spec, folder)
