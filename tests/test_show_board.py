from __future__ import annotations

import pytest

from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.show_board import leaderboard


def row(trial, rank=None, score=None, tie_group=None, **other):
    values = {"status": "finished", "seconds": 1.5, "candidate": "small_resnet · scratch", "role": "candidate"}
    if score is not None:
        values |= {"low": score - 0.01, "high": score + 0.01, "best_probability": 0.5}
    return Row(trial=trial, rank=rank, score=score, tie_group=tie_group, **(values | other))


def board(*rows, examples=360):
    return Leaderboard(rows=rows, metric="accuracy", direction="max", examples=examples)


TIED = board(
    row(3, 1, 0.98, 1),
    row(5, 2, 0.97, 1),
    row(0, 3, 0.90, 2, role="baseline"),
    row(-1, 4, 0.10, 3, role="baseline", candidate="majority class"),
    row(7, status="failed", reason="RuntimeError: out of memory\nat line 3"),
)
COST = {"latency_p50": 0.0123, "latency_p95": 0.02, "memory_bytes": 9_000, "size_bytes": 13_400_000}


def line_of(text, trial):
    """The line of the ranked table in whose column `trial` this number stands."""
    lines = text.split("\n\n")[0].splitlines()
    end = lines[0].index("trial") + len("trial")
    (found,) = [line for line in lines if line[:end].split()[-1] == str(trial)]
    return found


def test_rows_of_the_first_tie_group_are_marked_as_tied():
    text = leaderboard(TIED)
    assert "tied" in line_of(text, 3)
    assert "tied" in line_of(text, 5)
    assert "tied" not in line_of(text, 0)


def test_a_later_tie_group_names_the_rank_it_starts_at():
    text = leaderboard(board(row(3, 1, 0.9, 1), row(4, 2, 0.8, 2), row(6, 3, 0.8, 2)))
    assert "tied #2" in line_of(text, 4)
    assert "tied #2" in line_of(text, 6)


def test_failed_trials_stand_below_with_the_first_line_of_the_reason():
    text = leaderboard(TIED)
    below = text[text.index("Without a place:") :]
    assert "RuntimeError: out of memory" in below
    assert "at line 3" not in text


def test_the_majority_class_has_no_trial_number():
    text = leaderboard(TIED)
    (line,) = [line for line in text.splitlines() if "majority class" in line]
    assert "-1" not in line


def test_a_run_without_trials_says_so():
    assert leaderboard(board()) == "No trial has started."


def head_of(text):
    return text.splitlines()[0].split("  ")


def cells_of(text, trial):
    """The cells of a trial by the names of their columns."""
    lines = text.split("\n\n")[0].splitlines()
    names = [each.strip() for each in lines[0].split("  ") if each.strip()]
    return dict(zip(names, [each.strip() for each in line_of(text, trial).split("  ") if each.strip()], strict=True))


def test_a_baseline_and_a_stopped_trial_are_told_from_others():
    text = leaderboard(board(row(3, 1, 0.9, 1, status="stopped"), row(0, 2, 0.8, 2, role="baseline")))
    assert "small_resnet · scratch (stopped)" in line_of(text, 3)
    assert "small_resnet · scratch (baseline)" in line_of(text, 0)
    assert "(finished)" not in leaderboard(TIED)


def test_what_a_score_is_worth_and_a_model_costs_is_shown_with_what_it_means():
    text = leaderboard(board(row(3, 1, 0.98, 1, corrected=0.961, **COST), row(5, 2, 0.97, 2, corrected=0.95)))
    found = cells_of(text, 3)
    assert (found["corrected"], found["latency"], found["size"]) == ("0.9610", "12 ms", "13 MB")
    assert "corrected: the accuracy to expect of new rows, without the luck of having been picked" in text
    assert "latency: of one row alone, the median" in text


def test_what_was_paid_for_a_trial_is_shown_where_anything_was():
    text = leaderboard(board(row(3, 1, 0.98, 1, billed_seconds=1234.4), row(0, 2, 0.9, 2, role="baseline")), width=200)
    assert (cells_of(text, 3)["billed"], cells_of(text, 0)["billed"]) == ("1,234", "-")
    assert "billed: seconds of a paid machine" in text
    assert "billed" not in leaderboard(TIED, width=200)


def test_what_nothing_is_known_of_has_no_column():
    names = head_of(leaderboard(TIED))
    assert not {"corrected", "latency", "size"} & set(names)
    assert "corrected:" not in leaderboard(TIED)


def test_the_front_is_marked_and_the_mark_explained():
    text = leaderboard(board(row(3, 1, 0.98, 1), row(5, 2, 0.97, 2, on_front=True)))
    assert line_of(text, 5).split()[0] == "2*"
    assert line_of(text, 3).split()[0] == "1"
    assert "*: no other row is as good, as fast and as small" in text
    assert "*" not in leaderboard(TIED)


def test_a_usual_board_fits_into_a_hundred_columns_with_all_that_matters():
    rows = [
        row(
            *(10 + rank, rank, 0.98 - rank / 100, (rank + 2) // 3),
            candidate="efficientnet_lite0 · head_then_all",
            corrected=0.9,
            **COST,
        )
        for rank in range(1, 8)
    ]
    text = leaderboard(board(*rows))
    assert max(map(len, text.splitlines())) <= 100
    assert {"rank", "trial", "accuracy", "corrected", "latency", "size", "candidate"} <= set(
        text.split("\n")[0].split()
    )


def test_a_long_name_is_cut_and_still_told_from_a_trials():
    long = row(3, 1, 0.98, 1, candidate="efficientnet_lite0 · head_then_all", corrected=0.9, role="baseline", **COST)
    line = line_of(leaderboard(board(long, row(4, 2, 0.97, 2, **COST))), 3)
    assert len(line) <= 100
    assert "efficientnet_lite0" in line
    assert line.endswith("… (baseline)")


def test_in_a_wide_terminal_nothing_is_left_out():
    text = leaderboard(board(row(3, 1, 0.98, 1, corrected=0.9, **COST), row(4, 2, 0.97, 1)), width=200)
    assert text.splitlines()[0].split() == [
        *("rank", "tie", "trial", "accuracy", "corrected", "95", "%", "interval", "first", "seconds"),
        *("latency", "size", "candidate"),
    ]


def test_the_time_of_training_goes_first_where_there_is_no_room():
    rows = board(row(3, 1, 0.98, 1, corrected=0.9, **COST), row(4, 2, 0.97, 1))
    whole = max(map(len, leaderboard(rows, width=200).split("\n\n")[0].splitlines()))
    assert "seconds" in leaderboard(rows, width=whole)
    assert "seconds" not in leaderboard(rows, width=whole - 1)
    assert "first" in leaderboard(rows, width=whole - 1)


@pytest.mark.parametrize(
    ("latency", "size", "shown"),
    [
        (0.00015, 900, ("0.15 ms", "900 B")),
        (0.0032, 2_500, ("3.2 ms", "2.5 kB")),
        (0.9999, 999_900, ("1 s", "1 MB")),
        (2.34, 1.3e9, ("2.3 s", "1.3 GB")),
    ],
)
def test_quantities_are_shown_in_two_digits_or_three(latency, size, shown):
    found = cells_of(leaderboard(board(row(3, 1, 0.98, 1, latency_p50=latency, size_bytes=round(size)))), 3)
    assert (found["latency"], found["size"]) == shown


MANY = board(
    *(row(n, n + 1, 0.9 - 0.01 * n, n, on_front=n == 27) for n in range(30)),
    row(90, 31, 0.5, 30, role="baseline", candidate="majority class"),
    *(row(100 + n, status="failed", reason="boom") for n in range(25)),
)


def test_of_many_trials_the_first_the_baselines_and_the_marked_rows_are_shown():
    ranked, below = leaderboard(MANY).split("Without a place:")
    assert [line.split()[1] for line in ranked.splitlines()[1:23]] == [*map(str, range(20)), "27", "90"]
    assert "... and 9 more; --all shows them." in ranked
    assert "... and 5 more; --all shows them." in below
    assert below.count("boom") == 20


def test_all_trials_are_shown_if_asked_for():
    text = leaderboard(MANY, most=None)
    assert "more;" not in text
    assert text.count("boom") == 25
    assert line_of(text, 26)
