from seedbed.registry.conformance import DeployerContract


class TestDeployers(DeployerContract):
    """Every built-in of this kind."""
