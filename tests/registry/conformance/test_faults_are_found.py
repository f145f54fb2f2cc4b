"""Each contract must find the fault that a component was given on purpose."""

# ruff: noqa: E501 - a table is read by its lines

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import psutil
import pytest

from seedbed.core.errors import UnknownName, UsageError
from seedbed.registry import conformance
from seedbed.registry.conformance import running, weights

FAULTS = [
    ("training", "OptimizerContract", "climbs", "test_it_lowers_a_quadratic"),
    ("training", "OptimizerContract", "forgets", "test_its_state_can_be_saved_and_loaded"),
    ("training", "OptimizerContract", "ignores_groups", "test_the_learning_rate_of_a_group_wins"),
    ("training", "OptimizerContract", "ignores_groups", "test_the_weight_decay_of_a_group_wins"),
    ("training", "OptimizerContract", "ignores_groups", "test_it_keeps_the_engines_settings_of_a_group"),
    ("training", "ScheduleContract", "goes_negative", "test_its_factors_lie_between_zero_and_one"),
    ("training", "ScheduleContract", "counts_calls", "test_it_is_pure"),
    ("training", "ScheduleContract", "local_options", "test_it_pickles"),
    ("training", "ScheduleContract", "mutable_options", "test_its_options_are_frozen"),
    ("training", "ScheduleContract", "no_sentence", "test_its_summary_is_one_line"),
    ("training", "ScheduleContract", "two_lines", "test_its_summary_is_one_line"),
    ("training", "AugmenterContract", "writes_into_its_input", "test_it_does_not_write_into_its_input"),
    ("training", "AugmenterContract", "leaves_the_range", "test_its_values_stay_where_they_belong"),
    ("training", "AugmenterContract", "crops", "test_it_keeps_shape_dtype_and_device"),
    ("training", "AugmenterContract", "draws_from_the_global_state", "test_equal_seeds_give_equal_outputs"),
    ("training", "AugmenterContract", "does_nothing", "test_other_seeds_give_other_outputs"),
    ("training", "RegularizerContract", "diverges", "test_training_works_with_it"),
    ("training", "RegularizerContract", "replaces_the_head", "test_a_model_trained_with_it_predicts_without_it"),
    ("training", "RegularizerContract", "is_something_else", "test_it_is_a_regularizer"),
    ("models", "ArchitectureContract", "wrong_number_of_features", "test_it_turns_inputs_into_features"),
    ("models", "ArchitectureContract", "weights_from_elsewhere", "test_equal_seeds_give_equal_weights"),
    ("models", "ArchitectureContract", "unused_parameter", "test_a_gradient_reaches_what_is_trained"),
    ("models", "ArchitectureContract", "hidden_state", "test_its_weights_can_be_saved_and_loaded"),
    ("models", "ArchitectureContract", "miscounted", "test_it_has_as_many_parameters_as_declared"),
    ("models", "ArchitectureContract", "trains_a_fixed_transform", "test_a_gradient_reaches_what_is_trained"),
    ("models", "ArchitectureContract", "noisy", "test_it_is_deterministic_when_it_predicts"),
    ("models", "WeightsContract", "loads_nothing", "test_it_loads_or_says_why_not"),
    ("models", "WeightsContract", "refuses_from_a_file", "test_it_loads_or_says_why_not"),
    ("models", "WeightsContract", "refuses_late", "test_it_loads_or_says_why_not"),
    ("models", "WeightsContract", "refuses_without_a_word", "test_it_loads_or_says_why_not"),
    ("models", "WeightsContract", "refuses_late", "test_it_can_tell_whether_it_lies_on_this_machine"),
    ("models", "WeightsContract", "no_licence", "test_it_names_its_licence"),
    ("models", "WeightsContract", "for_a_stranger", "test_its_architecture_exists"),
    ("search", "StrategyContract", "leaves_the_space", "test_what_it_proposes_lies_in_the_space"),
    ("search", "StrategyContract", "never_begins", "test_what_it_proposes_lies_in_the_space"),
    ("search", "StrategyContract", "draws_from_the_global_state", "test_equal_histories_and_seeds_give_equal_proposals"),
    ("search", "StrategyContract", "spends_the_budget_itself", "test_it_changes_nothing_in_the_history"),
    ("search", "StrategyContract", "never_ends", "test_it_proposes_nothing_when_no_trial_is_left"),
    ("search", "StrategyContract", "trusts_in_success", "test_it_goes_on_after_failures"),
    ("search", "StrategyContract", "stops_without_saying", "test_it_works_while_trials_run"),
    ("search", "RuleContract", "finds_fault_with_nothing", "test_it_says_nothing_of_an_empty_curve"),
    ("search", "RuleContract", "knows_no_remedy", "test_it_gives_evidence_and_remedy"),
    ("search", "RuleContract", "counts_calls", "test_it_is_pure"),
    ("search", "MonitorContract", "prints", "test_it_leaves_stdout_to_results"),
    ("search", "MonitorContract", "expects_order", "test_it_takes_events_in_any_order"),
    ("search", "MonitorContract", "closes_once", "test_it_takes_a_run_without_any_event"),
    ("search", "MetricContract", "accuracy_but_lower_is_better", "test_right_predictions_are_not_worse_than_shuffled_ones"),
    ("search", "MetricContract", "divides_by_zero", "test_it_is_a_finite_number"),
    ("search", "MetricContract", "looks_at_the_first_row", "test_the_order_of_rows_does_not_matter"),
    ("search", "MetricContract", "rows_of_another_score", "test_the_mean_of_its_rows_is_the_score"),
    ("search", "ExporterContract", "writes_nothing", "test_it_writes_a_file"),
    ("search", "ExporterContract", "tidies_up", "test_it_leaves_the_bundle_as_it_was"),
    ("running", "BackendContract", "says_it_twice", "test_every_job_ends_in_one_terminal_event"),
    ("running", "BackendContract", "loses_the_end", "test_every_job_ends_in_one_terminal_event"),
    ("running", "BackendContract", "keeps_the_traceback", "test_a_job_that_raises_has_failed_with_its_traceback"),
    ("running", "BackendContract", "does_not_listen", "test_a_job_ends_soon_when_it_is_asked_to"),
    ("running", "BackendContract", "knows_every_job", "test_stopping_what_does_not_run_is_no_error"),
    ("running", "BackendContract", "leaves_a_process", "test_nothing_is_left_running"),
    ("running", "ReaderContract", "shuffles", "test_its_rows_keep_their_order"),
    ("running", "ReaderContract", "leaves_out_the_part", "test_it_gives_rows_of_the_agreed_form"),
    ("running", "ReaderContract", "takes_every_folder", "test_it_recognises_its_own_folders"),
    ("running", "ReaderContract", "speaks_python", "test_a_missing_source_is_bad_data"),
    ("running", "ReaderContract", "cannot_be_found", "test_it_can_be_found_by_an_address"),
    ("running", "CheckContract", "complains_about_clean_data", "test_it_has_no_serious_complaint_about_clean_data"),
    ("running", "CheckContract", "writes_beside_the_data", "test_it_changes_nothing"),
    ("running", "CheckContract", "finds_something_new_each_time", "test_it_finds_the_same_again"),
    ("sequences", "ArchitectureContract", "pools_the_padding", "test_padding_does_not_change_features"),
    ("sequences", "ArchitectureContract", "looks_at_its_neighbours", "test_a_row_has_the_same_features_beside_any_other"),
    ("sequences", "ArchitectureContract", "divides_by_no_more_steps", "test_rows_of_every_length_have_features"),
    ("sequences", "ArchitectureContract", "knows_no_longer_rows", "test_rows_of_every_length_have_features"),
    ("sequences", "ArchitectureContract", "lists_a_layer_twice", "test_its_layers_hold_each_parameter_once"),
    ("sequences", "ArchitectureContract", "forgets_a_layer", "test_its_layers_hold_each_parameter_once"),
    ("sequences", "ArchitectureContract", "promises_its_default_width", "test_random_points_of_its_space_can_be_trained"),
    ("sequences", "ArchitectureContract", "asks_the_network", "test_it_is_built_in_peace"),
    ("sequences", "ArchitectureContract", "sets_the_threads", "test_it_is_built_in_peace"),
    ("sequences", "ArchitectureContract", "ties_its_weights", "test_its_weights_can_be_saved_and_loaded"),
    ("sequences", "ArchitectureContract", "miscounts_words", "test_it_has_as_many_parameters_as_declared"),
    ("sequences", "ArchitectureContract", "gives_doubles", "test_it_turns_inputs_into_features"),
    ("sequences", "ArchitectureContract", "learns_at_random", "test_what_it_learns_from_rows_can_be_learnt_again"),
    ("sequences", "ArchitectureContract", "grows_with_the_rows", "test_what_it_learns_from_rows_can_be_learnt_again"),
    ("sequences", "ArchitectureContract", "fits_and_trains", "test_what_it_learns_from_rows_can_be_learnt_again"),
    ("sequences", "ArchitectureContract", "keeps_what_it_learns_to_itself", "test_its_weights_can_be_saved_and_loaded"),
    ("sequences", "ArchitectureContract", "has_weights", "test_a_gradient_reaches_what_is_trained"),
    ("sequences", "WeightsContract", "normalises_texts", "test_its_normalisation_fits"),
    ("models", "WeightsContract", "loads_nothing", "test_its_normalisation_fits"),
    ("models", "ArchitectureContract", "says_nothing_of_its_size", "test_it_has_as_many_parameters_as_declared"),
    ("augmenters", "AugmenterContract", "writes_beside_the_rows", "test_its_mask_says_what_is_there"),
    ("augmenters", "AugmenterContract", "drops_the_first_step", "test_its_mask_says_what_is_there"),
    ("augmenters", "AugmenterContract", "leaves_gaps", "test_its_mask_says_what_is_there"),
    ("augmenters", "AugmenterContract", "invents_words", "test_its_values_stay_where_they_belong"),
    ("augmenters", "AugmenterContract", "forgets_the_mask", "test_it_keeps_shape_dtype_and_device"),
    ("augmenters", "AugmenterContract", "interpolates_between_two_steps", "test_one_short_row_is_enough"),
    ("augmenters", "AugmenterContract", "has_a_least_strength", "test_at_no_strength_it_changes_nothing"),
    ("augmenters", "AugmenterContract", "counts_its_calls", "test_equal_seeds_give_equal_outputs"),
    ("augmenters", "AugmenterContract", "shares_its_state", "test_several_threads_may_call_it"),
    ("augmenters", "AugmenterContract", "views_are_random", "test_its_views_are_fixed_and_begin_with_the_inputs"),
    ("augmenters", "AugmenterContract", "views_without_the_inputs", "test_its_views_are_fixed_and_begin_with_the_inputs"),
    ("regularizers", "RegularizerContract", "draws_when_built", "test_building_it_leaves_no_trace"),
    ("regularizers", "RegularizerContract", "turns_on_determinism", "test_building_it_leaves_no_trace"),
    ("regularizers", "RegularizerContract", "draws_for_itself", "test_equal_seeds_give_equal_training"),
    ("regularizers", "RegularizerContract", "writes_into_batches", "test_it_changes_batches_by_the_rules"),
    ("regularizers", "RegularizerContract", "writes_into_targets", "test_it_changes_batches_by_the_rules"),
    ("regularizers", "RegularizerContract", "mixes_by_itself", "test_it_changes_batches_by_the_rules"),
    ("regularizers", "RegularizerContract", "loses_probability", "test_it_changes_batches_by_the_rules"),
    ("regularizers", "RegularizerContract", "expects_classes", "test_it_changes_batches_by_the_rules"),
    ("regularizers", "RegularizerContract", "halves_batches", "test_it_changes_batches_by_the_rules"),
    ("regularizers", "RegularizerContract", "takes_the_mean", "test_its_loss_is_one_number_for_each_example"),
    ("regularizers", "RegularizerContract", "knows_no_mixing", "test_its_loss_is_one_number_for_each_example"),
    ("regularizers", "RegularizerContract", "smooths_twice", "test_its_loss_is_one_number_for_each_example"),
    ("regularizers", "RegularizerContract", "divides_by_the_norm", "test_it_leaves_gradients_finite_and_weights_alone"),
    ("regularizers", "RegularizerContract", "knows_nothing_frozen", "test_it_leaves_gradients_finite_and_weights_alone"),
    ("regularizers", "RegularizerContract", "changes_weights_instead", "test_it_leaves_gradients_finite_and_weights_alone"),
    ("regularizers", "RegularizerContract", "averages_the_head", "test_the_state_it_averages_is_one_of_the_model"),
    ("regularizers", "RegularizerContract", "averages_in_doubles", "test_the_state_it_averages_is_one_of_the_model"),
    ("regularizers", "RegularizerContract", "averages_in_place", "test_the_state_it_averages_is_one_of_the_model"),
    ("regularizers", "RegularizerContract", "starts_at_zero", "test_the_average_of_weights_that_stay_is_those_weights"),
    ("regularizers", "RegularizerContract", "counts_looks", "test_rising_scores_do_not_end_training"),
    ("regularizers", "RegularizerContract", "wants_positive_scores", "test_rising_scores_do_not_end_training"),
    ("training", "OptimizerContract", "wears_down_the_frozen", "test_what_has_no_gradient_stays"),
    ("training", "OptimizerContract", "steps_at_random", "test_equal_gradients_give_equal_steps"),
    ("search", "MetricContract", "rewards_modesty", "test_nothing_scores_better_than_what_is_right"),
    ("search", "MetricContract", "sorts_in_place", "test_it_only_reads"),
    ("search", "MetricContract", "gives_single_precision", "test_it_only_reads"),
    ("search", "MetricContract", "forgets_to_divide", "test_a_row_with_a_weight_counts_as_that_many_rows"),
    ("search", "MetricContract", "weighs_rows_but_not_their_number", "test_a_row_with_a_weight_counts_as_that_many_rows"),
    ("search", "MetricContract", "gives_one_score_for_all", "test_a_row_with_a_weight_counts_as_that_many_rows"),
]  # fmt: skip
OTHER_ERRORS = {  # what fails by itself, without an assertion of the kit
    "local_options": (AttributeError, pickle.PicklingError),
    "replaces_the_head": RuntimeError,
    "for_a_stranger": UnknownName,
    "leaves_the_space": UsageError,
    "trusts_in_success": TypeError,
    "knows_every_job": KeyError,
    "speaks_python": FileNotFoundError,
    "knows_no_longer_rows": RuntimeError,
    "asks_the_network": OSError,
    "ties_its_weights": RuntimeError,
    "interpolates_between_two_steps": IndexError,
    "expects_classes": RuntimeError,
    "knows_no_mixing": RuntimeError,
    "knows_nothing_frozen": AttributeError,
    "averages_the_head": RuntimeError,
    "sorts_in_place": ValueError,
}


class WithABundle(conformance.ExporterContract):
    def bundle(self, folder):
        bundle = folder / "best"
        bundle.mkdir()
        (bundle / "weights.bin").write_bytes(b"weights")
        return bundle


@pytest.fixture
def hasty(monkeypatch):
    """Do not wait a minute for what will not come, and end what a faulty backend leaves behind."""
    monkeypatch.setattr(running, "SECONDS_TO_END", 0.5)
    monkeypatch.setattr(running, "SECONDS_TO_STOP", 0.5)
    monkeypatch.setattr(weights, "SECONDS_TO_REFUSE", 0.1)
    before = set(psutil.Process().children())
    yield
    for child in set(psutil.Process().children()) - before:
        child.kill()
        child.wait()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("file", "contract", "name", "check"), FAULTS)
def test_the_fault_is_found(request, file, contract, name, check):
    base = WithABundle if contract == "ExporterContract" else getattr(conformance, contract)
    held = type("Held", (base,), {"plugin": str(Path(__file__).with_name(f"faulty_{file}.py"))})()
    spec = held.registry().get(held.kind, name)
    test = getattr(held, check)
    fixtures = [request.getfixturevalue(each) for each in inspect.signature(test).parameters if each != "spec"]
    with pytest.raises(OTHER_ERRORS.get(name, AssertionError)):
        test(spec, *fixtures)


def hold(file, code):
    """Hold the one schedule of a plugin file to its contract."""
    file.write_text("from seedbed import Float, ScheduleSpec, hookimpl\n" + code)
    held = type("Held", (conformance.ScheduleContract,), {"plugin": str(file)})()
    (spec,) = held.specs()
    return held, spec


def test_a_heavy_declaration_is_found(tmp_path):
    code = """
import numpy

@hookimpl
def register_schedules():
    yield ScheduleSpec(name="heavy", summary="Heavy.", build="math:cos")
"""
    held, spec = hold(tmp_path / "heavy_plugin.py", code)
    with pytest.raises(AssertionError, match="imports numpy"):
        held.test_declaring_it_imports_nothing_heavy(spec)


def test_a_schedule_that_needs_torch_is_found(tmp_path, monkeypatch):
    code = """
@hookimpl
def register_schedules():
    yield ScheduleSpec(name="torchy", summary="Torchy.", build=f"{__name__}:make")

def make(options):
    import torch

    return lambda progress: 1.0
"""
    held, spec = hold(tmp_path / "torchy_plugin.py", code)
    (tmp_path / "torch.py").touch()  # for the fresh process alone: the real one takes it 5 s
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssertionError, match="plain numbers need no torch"):
        held.test_it_needs_no_torch(spec)


def test_options_that_refuse_points_of_their_own_space_are_found(tmp_path):
    code = """
from dataclasses import dataclass
from typing import Annotated

@dataclass(frozen=True)
class Options:
    power: Annotated[float, Float(0.0, 2.0)] = 1.0

    def __post_init__(self):
        if self.power > 1.5:
            raise ValueError("too much")

@hookimpl
def register_schedules():
    yield ScheduleSpec(name="choosy", summary="Choosy.", build="math:cos", options=Options)
"""
    held, spec = hold(tmp_path / "choosy_plugin.py", code)
    with pytest.raises(ValueError, match="too much"):
        held.test_random_points_make_its_options(spec)
