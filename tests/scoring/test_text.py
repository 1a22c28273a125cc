"""Numbers as printed."""

import pytest

from ser.core.columns import align
from ser.scoring.schema import Value
from ser.scoring.text import parameters, shown, with_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9234, ".923"), (0.9996, "1.000"), (-0.0001, ".000"), (-0.05, "-.050"), (-1.0, "-1.000"), (None, "–")],
)
def test_scores(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12.345, "12.3"), (0.71234, "0.712"), (123.4, "123"), (0.0, "0.000")]
)
def test_errors_keep_three_digits(value, text):
    assert shown(value, "MAE") == text


def test_bounds_have_the_value_s_decimals():
    assert with_interval(Value(9.876, 8.1, 11.0, 0, []), "MAE") == "9.88 [8.10, 11.00]"
    assert with_interval(Value(0.9, 0.85, 1.0, 0, [])) == ".900 [.850, 1.000]"
    assert with_interval(Value(0.9, None, None, 0, [])) == ".900"
    assert with_interval(Value(None, None, None, 9, [])) == "–"


def test_parameters():
    assert [parameters(n) for n in (0, 9999, 12_345, 94_371_712, 315_453_120, 7_000_000_000)] == [
        "0", "9,999", "12.3 k", "94.4 M", "315 M", "7.0 G",
    ]  # fmt: skip


def test_columns_line_up():
    assert align([["a", "1"], ["bcd", "22"]], right=[1], indent=" ") == [" a     1", " bcd  22"]
