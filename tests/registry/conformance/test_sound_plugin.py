"""A third-party plugin without a fault passes the kit."""

from pathlib import Path

from seedbed.registry import conformance

SOUND = str(Path(__file__).with_name("sound_plugin.py"))


class TestArchitecture(conformance.ArchitectureContract):
    plugin = SOUND


class TestWeights(conformance.WeightsContract):
    plugin = SOUND


class TestOptimizer(conformance.OptimizerContract):
    plugin = SOUND


class TestSchedule(conformance.ScheduleContract):
    plugin = SOUND


class TestAugmenter(conformance.AugmenterContract):
    plugin = SOUND


class TestRegularizer(conformance.RegularizerContract):
    plugin = SOUND


class TestMetric(conformance.MetricContract):
    plugin = SOUND


class TestRule(conformance.RuleContract):
    plugin = SOUND


class TestMonitor(conformance.MonitorContract):
    plugin = SOUND
