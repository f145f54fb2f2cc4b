"""Everything that Seedbed relies on in an architecture, as tests to inherit."""

from seedbed.registry.conformance import ArchitectureContract


class TestExampleConvNet(ArchitectureContract):
    """Each check is a test here, with names like test_…[architecture:example_convnet]."""

    plugin = "seedbed_example_architecture"
