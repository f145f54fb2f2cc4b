from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCHMARKS))
    boards = import_module("boards")


@pytest.fixture
def few_test_rows(monkeypatch):
    monkeypatch.setattr(boards, "TEST_ROWS", 2_000)


def test_equal_seeds_draw_equal_boards(few_test_rows):
    one, same, other = (boards.simulated(5, 100, 0.1, seed) for seed in (3, 3, 4))
    assert one == same != other


def test_errors_are_correlated_as_those_of_trained_models_are(few_test_rows, monkeypatch):
    """Two models that are right on four rows of five by chance alone would err together on one of 25."""
    drawn = []
    entry = boards._entry
    monkeypatch.setattr(boards, "_entry", lambda trial, right: drawn.append(right) or entry(trial, right))
    boards.simulated(20, 2_000, 0.05, 0)
    correlations = np.corrcoef(np.stack(drawn))[np.triu_indices(20, 1)]
    assert 0.15 < correlations.min() < correlations.max() < 0.8


def test_of_candidates_that_differ_the_best_is_told_from_the_kept(few_test_rows):
    found = [boards.simulated(50, 100, 0.25, seed) for seed in range(6)]
    assert all(each.kept.row.rank == 1 for each in found)
    assert any(each.best.row.trial != each.kept.row.trial for each in found)
    assert np.mean([each.best.test - each.kept.test for each in found]) >= -0.01


def test_all_sizes_and_spreads_have_their_turn(monkeypatch):
    monkeypatch.setattr(boards, "simulated", lambda candidates, rows, spread, seed: (candidates, rows, spread, seed))
    found = boards.boards(50, 7)
    assert {each[:2] for each in found} == {(many, rows) for many in boards.CANDIDATES for rows in boards.ROWS}
    assert {each[2] for each in found} == set(boards.SPREADS)
    assert [each[3] for each in found] == list(range(7, 57))
    assert len({each[:3] for each in found}) == 50


def test_the_verdict_is_that_of_the_truly_best(few_test_rows, monkeypatch, capsys, tmp_path):
    assert boards.main(["--boards", "2", "--out", str(tmp_path / "table.md")]) == 0
    assert "| all | 2 | 100% |" in (tmp_path / "table.md").read_text(encoding="utf-8")
    monkeypatch.setattr(boards, "WANTED", 1.01)
    assert boards.main(["--boards", "2"]) == 1
    assert "| 100 rows | 2 |" in capsys.readouterr().out
