"""One contract class for each kind of component: what the engine relies on, as tests to inherit.

    from seedbed.registry.conformance import OptimizerContract

    class TestLion(OptimizerContract):
        plugin = "seedbed_lion"          # a module, or the path of a .py file

gives one test for each check and each optimizer that the plugin offers, with names like
`test_it_lowers_a_quadratic[optimizer:lion]`. The built-ins are held to the very same classes. A check that
is known to fail is named with its reason, and must then fail: `known_failures = {"test_…": "why"}`.

Only pytest is needed to run them; nothing has to be configured.
"""

from seedbed.registry.conformance.augmenters import AugmenterContract
from seedbed.registry.conformance.base import SpecContract
from seedbed.registry.conformance.data import CheckContract, MetricContract, ReaderContract
from seedbed.registry.conformance.models import ArchitectureContract
from seedbed.registry.conformance.regularizers import RegularizerContract
from seedbed.registry.conformance.running import BackendContract, DeployerContract, ExporterContract, MonitorContract
from seedbed.registry.conformance.search import RuleContract, StrategyContract
from seedbed.registry.conformance.training import OptimizerContract, ScheduleContract
from seedbed.registry.conformance.weights import WeightsContract

__all__ = [
    "ArchitectureContract",
    "AugmenterContract",
    "BackendContract",
    "CheckContract",
    "DeployerContract",
    "ExporterContract",
    "MetricContract",
    "MonitorContract",
    "OptimizerContract",
    "ReaderContract",
    "RegularizerContract",
    "RuleContract",
    "ScheduleContract",
    "SpecContract",
    "StrategyContract",
    "WeightsContract",
]
