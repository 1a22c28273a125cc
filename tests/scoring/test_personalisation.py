"""Correlations over speakers and the pictures of 'ser calibrate'."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.metrics.continuous import pcc
from ser.scoring.drawing.figures import line, scatter, standalone
from ser.scoring.personalisation import analyse_shifts, correlation, draw_by_utterances, pcc_of_draws

SVG = "{http://www.w3.org/2000/svg}"


def test_correlation_of_draws_is_that_of_the_drawn_speakers():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9))
    taken = rng.integers(9, size=(5, 9))
    counts = np.stack([np.bincount(row, minlength=9) for row in taken]).astype(float)
    expected = [pcc(x[row], y[row]) for row in taken]
    np.testing.assert_allclose(pcc_of_draws(x, y, counts), expected)
    assert np.isnan(pcc_of_draws(x, y, np.eye(9))).all()  # of one speaker there is none


def test_intervals_hold_the_planted_correlation_about_as_often_as_they_say():
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=40)
        y = -0.6 * x + 0.8 * rng.normal(size=40)
        _, interval = correlation(x, y, 400, seed)
        held += interval.low <= -0.6 <= interval.high
    assert 50 <= held <= 60


def test_few_or_undefined_speakers_have_none():
    value, interval = correlation(np.array([1.0, 2.0, np.nan]), np.array([1.0, 2.0, 3.0]), 10, 0)
    assert np.isnan(value) and interval.low is None


def write_shift(folder: Path) -> None:
    header = (
        "seed\tfold\tset\tattribute\tspeaker\tutterances\tfeature_shift\tlabel_shift\tccc\tccc_calibrated\n"
    )
    rows = [
        f"{seed}\t0\ttest\tarousal\ts{i}<&\t20\t{i + seed}\t{i * i}\t{1 - i / 10}\t0.5\n"
        for seed in (0, 2) for i in range(6)
    ]  # fmt: skip
    (folder / "shift.tsv").write_text(header + "".join(rows))


def test_a_speaker_of_two_seeds_is_one_point(tmp_path):
    write_shift(tmp_path)
    text, files = analyse_shifts(tmp_path, draws=50)
    assert [path.name for path in files] == ["correlations.tsv", "shift_test_arousal.svg"]
    rows = [row.split("\t") for row in (tmp_path / "correlations.tsv").read_text().splitlines()]
    assert rows[1][2:5] == ["feature shift, CCC", "6", "-1.000000"]
    assert rows[4][4:] == ["", "", ""]  # the calibrated CCC does not vary
    assert "-1.000000" in text
    picture = ElementTree.parse(tmp_path / "shift_test_arousal.svg").getroot()
    dots = picture.findall(f".//{SVG}circle")
    assert len(dots) == 3 * 6
    assert dots[0].find(f"{SVG}title").text == "s0<&: 1, 1"
    before = (tmp_path / "shift_test_arousal.svg").read_bytes()
    analyse_shifts(tmp_path, draws=50)
    assert (tmp_path / "shift_test_arousal.svg").read_bytes() == before


def test_curves_have_a_point_a_number_and_the_level_before(tmp_path):
    header = "set\tattribute\tmetric\tutterances\tdraws\tbefore\tafter\tlow\thigh\n"
    rows = [
        f"test\tarousal\t{metric}\t{n}\t20\t0.5\t{0.4 + i / 10}\t{0.3 + i / 10}\t{0.5 + i / 10}\n"
        for metric in ("O-CCC", "A-CCC") for i, n in enumerate(("1", "5", "all"))
    ]  # fmt: skip
    (tmp_path / "by_utterances.tsv").write_text(header + "".join(rows))
    _, files = draw_by_utterances(tmp_path)
    picture = ElementTree.parse(files[0]).getroot()
    assert len(picture.findall(f".//{SVG}circle")) == 2 * 3
    assert [each.text for each in picture.iter(f"{SVG}text") if "before" in (each.text or "")] == [
        "dashed: before, .500; band: 95 % of 20 draws"
    ] * 2


def test_marks_lie_where_the_axes_say():
    panel = scatter("t", "", "x", "y", [("low", 0.0, 0.0), ("high", 1.0, 1.0), ("middle", 0.5, 0.5)])
    root = ElementTree.fromstring(standalone([panel], "points"))
    places = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x2 == pytest.approx((x0 + x1) / 2, abs=0.1) and y2 == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert x1 > x0 and y1 < y0  # up is less
    one = line("t", "", "x", "y", [("all", 0.5, 0.5, 0.5)], [0.4])
    assert ElementTree.fromstring(standalone([one, one], "one point")).get("width") == "640"
    two_rows = ElementTree.fromstring(standalone([one] * 3, "one point", columns=2))
    below = ElementTree.fromstring(standalone([one], "one point")).get("height")
    assert two_rows.get("width") == "640" and float(two_rows.get("height")) == 2 * float(below)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"shift\.tsv: no such table.*--analyse"):
        analyse_shifts(tmp_path)
