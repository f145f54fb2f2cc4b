import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import ExitCode, UsageError
from seedbed.core.settings import Settings, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5m", 90),
        ("1d", 86400),
        ("45", 45),
        (" 5M ", 300),
    ],
)
def test_durations_are_human(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "10x", "m", "-5", "0", "0s", "inf", "nan", "10m later", "1h 30m", "1e400"]
)
def test_what_is_no_positive_duration_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="write 90s, 10m"):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_the_parts_of_a_duration_add_up(hours, minutes, seconds):
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


def test_no_limit_is_made_up():
    settings = Settings(source="x")
    assert settings.trials is None
    assert settings.seconds is None


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"seconds": 0.0}, "must be positive"),
        ({"seconds": float("nan")}, "must be positive"),
        ({"seconds": float("inf")}, "must be positive"),
        ({"trials": 0}, "give 1 or more"),
        ({"workers": -1}, "workers=-1"),
        ({"threads": -2}, "threads=-2"),
        ({"use": ("sgd",)}, "KIND:NAME"),
        ({"without": ("optimizer:",)}, "KIND:NAME"),
        ({"without": ("a:b:c",)}, "KIND:NAME"),
    ],
)
def test_a_choice_that_makes_no_sense_is_a_usage_error(choices, words):
    with pytest.raises(UsageError, match=words) as raised:
        Settings(source="x", **choices)
    assert raised.value.exit_code == ExitCode.USAGE


def test_components_are_named_by_kind_and_name():
    chosen = Settings(source="x", use=("optimizer:sgd",), without=("augmenter:flip", "architecture:resnet"))
    assert chosen.use == ("optimizer:sgd",)
