from __future__ import annotations

from seedbed.show import evaluation, metrics, number

MANY = {"accuracy": 0.9, "f1_macro": 0.8, "f1_micro": 0.9, "log_loss": 0.3, "precision_macro": 0.7, "roc_auc": 0.95}


def test_the_score_that_decides_comes_first_and_those_left_out_are_counted():
    assert metrics(MANY, "f1_micro") == (
        "f1_micro 0.9000, accuracy 0.9000, f1_macro 0.8000, roc_auc 0.9500, log_loss 0.3000 (--json has 1 more)"
    )


def test_few_scores_are_all_shown_those_of_no_known_name_last():
    assert metrics({"zebra": 1, "mine": 2, "mae": 3, "rmse": 4}) == "rmse 4.0000, mae 3.0000, mine 2.0000, zebra 1.0000"


def test_an_evaluation_with_many_scores_has_a_line_for_each():
    found = evaluation({"metrics": MANY, "examples": 1234, "skipped": 2})
    first, *rows = found.splitlines()
    assert first == "On 1,234 examples; 2 left out, unreadable or of a class the model does not know:"
    assert [row.split()[0] for row in rows] == [
        "metric", "accuracy", "f1_macro", "roc_auc", "log_loss", "f1_micro", "precision_macro",
    ]  # fmt: skip


def test_an_evaluation_begins_with_the_score_that_decides():
    found = {"metrics": MANY, "examples": 10, "skipped": 0}
    assert evaluation(found, "roc_auc").splitlines()[2].split() == ["roc_auc", "0.9500"]
    few = {"metrics": {"accuracy": 0.5, "hamming_loss": 0.1}, "examples": 10, "skipped": 0}
    assert evaluation(few, "hamming_loss") == "hamming_loss 0.1000, accuracy 0.5000 on 10 examples"


def test_a_score_has_four_digits_however_great_it_is():
    found = [number(each) for each in (0.0, 0.5, 12.34567, 123456.7, 0.000123456, -3e-10, None)]
    assert found == ["0.0000", "0.5000", "12.3457", "1.2346e+05", "0.0001235", "-3e-10", "-"]
