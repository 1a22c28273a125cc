"""Sections of report.html that only some experiments have: there with their data, absent without."""

import csv
from dataclasses import replace

import pytest

from ser.core.errors import UserError
from ser.scoring.comparison.compare import compare
from ser.scoring.comparison.pages import write_comparison
from ser.scoring.report.report import report
from ser.scoring.report.sections.calibration import calibrations, dumbbells
from ser.scoring.report.sections.cost import decades, frontier, panels, total_parameters, upstreams_of
from ser.scoring.report.sections.details import chosen
from ser.scoring.report.sections.layers import layer_rows, mean_weights
from ser.scoring.report.sections.memory import read_comparisons
from ser.scoring.schema import Bootstrap, Fit
from ser.scoring.score import score_experiment
from ser.scoring.tables.rows import read_benchmarks
from tests.scoring.builder import System, make_data, make_experiment
from tests.scoring.comparison.dialogues import make_dialogues

HEADINGS = ("Cost and quality", "Layers", "Calibration by speaker", "By position in the dialogue")
PLDC = "PLDC sigma, k 3 by validation (transductive)"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sections")
    data = make_data(root / "data" / "all", speakers=4, each=14)
    systems = {
        "fbank": System("mean", "fbank", 0.3, speed=900.0),
        "fbank_pldc_sigma": System("mean", "fbank", 0.5, speed=900.0, options=[PLDC]),
        "hubert": System("layers", "hubert", 0.8, layers=13, parameters=94_000_000, speed=8.0),
        "large": System("layers", "large", 0.7, layers=25, parameters=316_000_000, speed=2.0),
    }
    made = [make_experiment(root / "exp" / name, data, system) for name, system in systems.items()]
    for folder in made:
        score_experiment(folder, data.path, draws=30)
    return {folder.name: folder for folder in made}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("dialogues")
    data = make_dialogues(root / "all", speakers=8)
    made = [make_experiment(root / name, data, System(name, skill=skill))
            for name, skill in {"memory": 0.9, "none": 0.3, "gru": 0.5}.items()]  # fmt: skip
    found = compare(made, data.path, "test", Bootstrap(60, 0, 0.95, "dialogue"), [], ["UAR"])
    write_comparison(found, root / "comparison" / "fbank", "cmd")
    return root / "comparison" / "fbank"


def test_every_section_is_there_with_its_data(folders, compared):
    text = report(read_benchmarks([*folders.values()]), "t", "c", read_comparisons([compared]))
    assert [heading for heading in HEADINGS if f">{heading}</h" not in text] == []
    assert text.count('class="dumbbells"') == 1  # of the one attribute
    assert text.count('class="panel"') == 2 * 2 + 2 * 2  # cost: two labels; gains: two systems, two kinds


def test_no_section_is_there_without_its_data(folders):
    text = report(read_benchmarks([folders["fbank"]]), "t", "c")
    assert [heading for heading in HEADINGS if f">{heading}</h" in text] == []
    assert "-calibration" not in text and "-layers" not in text


def test_learning_curves_are_absent_without_them(folders):
    [benchmark] = read_benchmarks([folders["fbank"]])
    assert ">Training</h3>" in report([benchmark], "t", "c")
    benchmark.experiments[0].fits.clear()
    assert "-training" not in report([benchmark], "t", "c")


def test_the_heat_map_has_a_row_a_system_and_a_cell_a_layer(folders):
    [benchmark] = read_benchmarks([*folders.values()])
    rows = layer_rows(benchmark)
    assert [(row.scores.experiment, len(row.weights)) for row in rows] == [("hubert", 13), ("large", 25)]
    for row in rows:
        assert sum(row.weights) == pytest.approx(1) and row.weights[row.best] == max(row.weights)
        assert all(0 <= shade <= 1 for shade in row.shades)
    text = report([benchmark], "t", "c")
    assert text.count('<td class="heat best"') == 2


def test_weights_of_folds_with_another_number_of_layers_are_not_averaged_in():
    fits = [Fit(0, str(i), {}, 1, 1.0, 1, weights, []) for i, weights in
            enumerate(([1.0], [0.25, 0.75], [0.75, 0.25], None))]  # fmt: skip
    assert mean_weights(fits) == [0.5, 0.5]


@pytest.mark.parametrize("cheap_is_less", [True, False])
def test_no_system_off_the_frontier_is_unbeaten(cheap_is_less):
    points = [(1.0, 0.2), (2.0, 0.5), (2.0, 0.4), (3.0, 0.45), (4.0, 0.9), (4.0, 0.9), (5.0, 0.1)]
    found = frontier(points, cheap_is_less)
    sign = 1 if cheap_is_less else -1

    def beaten(point):
        return any(
            sign * other[0] <= sign * point[0] and other[1] >= point[1] and other != point for other in points
        )

    assert set(found) == {point for point in points if not beaten(point)}
    assert [quality for _, quality in found] == sorted(quality for _, quality in found)


def test_cost_is_drawn_where_it_differs(folders):
    [benchmark] = read_benchmarks([*folders.values()])
    rows = [row for table in benchmark.tables if table.task == "emotion" for row in table.rows]
    both = panels(rows)
    assert [panel.title for panel in both] == ["By parameters", "By speed"]
    assert [panel.content.count("<circle") for panel in both] == [4, 4]
    assert both[0].content.count('"dot open"') == 1  # the transductive one, which is on no frontier
    assert panels(rows[:1]) == [] and panels([]) == []
    assert set(upstreams_of(rows)) == {"fbank", "hubert", "large"}


def test_a_fine_tuned_upstream_is_not_counted_twice(folders):
    [benchmark] = read_benchmarks([folders["hubert"]])
    row = benchmark.tables[0].rows[0]
    assert total_parameters(row) == 94_004_000
    row.scores.info["options"] = ["fine-tuned (LoRA 8)"]
    assert total_parameters(row) == 94_000_000
    row.scores.info["upstream"]["parameters"] = None
    assert total_parameters(row) is None


@pytest.mark.parametrize("values", [[3.0], [10.0, 10.0], [0.4, 3e9], [624.0, 20.6e6]])
def test_decades_hold_their_values(values):
    scale, ticks = decades(values)
    assert 10**scale.low <= min(values) and max(values) <= 10**scale.high
    assert 2 <= len(ticks) <= 7 and len({name for _, name in ticks}) == len(ticks)


def test_a_calibration_is_paired_with_what_it_was_made_from(folders):
    [benchmark] = read_benchmarks([*folders.values()])
    [pair] = calibrations(benchmark)
    assert (pair.before.scores.experiment, pair.after.scores.experiment) == ("fbank", "fbank_pldc_sigma")
    before = {s.speaker: s.metrics["CCC"] for s in pair.before.per_speaker}
    after = {s.speaker: s.metrics["CCC"] for s in pair.after.per_speaker}
    assert pair.speakers == sorted(((s, before[s], after[s]) for s in before), key=lambda each: each[1])
    higher = sum(after[s] > before[s] for s in before)
    assert pair.note.startswith(f"{higher} of 4 speakers higher, {4 - higher} lower; mean ")
    picture = dumbbells(pair)
    assert picture.count('class="pair-mark gain"') == higher and picture.count("data-speaker") == 4


def test_a_calibration_without_its_source_or_speakers_is_left_out(folders):
    [benchmark] = read_benchmarks([folders["hubert"], folders["fbank_pldc_sigma"]])
    assert calibrations(benchmark) == []
    [benchmark] = read_benchmarks([folders["fbank"], folders["fbank_pldc_sigma"]])
    for speaker in benchmark.experiments[0].attributes["naturalness"].per_speaker:
        speaker.metrics["CCC"] = None
    assert calibrations(benchmark) == []


def test_of_two_alike_the_one_that_gave_its_name_is_the_source(folders):
    [benchmark] = read_benchmarks([folders["fbank"], folders["fbank_pldc_sigma"]])
    other = replace(benchmark.experiments[0], experiment="other")
    [pair] = calibrations(replace(benchmark, experiments=[other, *benchmark.experiments]))
    assert pair.before.scores.experiment == "fbank"
    assert calibrations(replace(benchmark, experiments=[other, benchmark.experiments[1]])) != []
    twins = [other, replace(other, experiment="third"), benchmark.experiments[1]]
    assert calibrations(replace(benchmark, experiments=twins)) == []


def test_gains_are_the_reference_less_each_system(compared):
    [comparison] = read_comparisons([compared])
    assert (comparison.name, comparison.reference) == ("fbank", "memory")
    assert [(part.metric, part.kind) for part in comparison.parts] == [
        ("UAR", "dialogue"),
        ("UAR", "speaker"),
    ]
    with (compared / "positions.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["system"] == "none"]
    first = next(row for row in rows if row["position"] == "dialogue")
    panel = next(p for p in comparison.parts[0].panels if p.title == "over none")
    gain, low, high = (-float(first[k]) + 0.0 for k in ("difference", "difference_high", "difference_low"))
    assert f"<title>1: {gain:.3f} ({low:.3f} to {high:.3f})</title>" in panel.content and low <= gain <= high
    axes = {(p.y.low, p.y.high) for p in comparison.parts[0].panels}
    assert len(axes) == 1  # panels can be compared


def test_comparisons_that_are_none_are_refused(tmp_path, compared):
    with pytest.raises(UserError, match=r"no comparison.csv"):
        read_comparisons([tmp_path])
    (tmp_path / "comparison.csv").write_text("x\n")
    assert read_comparisons([tmp_path]) == []  # without dialogues there are no positions
    (tmp_path / "positions.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="not as 'ser benchmark compare'"):
        read_comparisons([tmp_path])
    lines = (compared / "positions.csv").read_text().splitlines()
    lines[-1] = ",".join([*lines[-1].split(",")[:-3], "zero", "0", "0"])
    (tmp_path / "positions.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="not as 'ser benchmark compare'"):
        read_comparisons([tmp_path])


def test_details_say_what_folds_chose():
    fits = [
        Fit(0, str(i), {"optimizer.lr": lr}, 1, 1.0, 1, None, []) for i, lr in enumerate((0.1, 0.01, 0.01))
    ]
    assert chosen(fits) == ["optimizer.lr 0.01 (2), 0.1 (1)"]
    assert chosen(fits[:1]) == ["optimizer.lr 0.1"] and chosen([]) == []


def test_an_upstream_without_facts_leaves_a_page(folders):
    [benchmark] = read_benchmarks([folders["fbank"]])
    benchmark.experiments[0].info["upstream"] = None
    assert "<dt>Upstream</dt>" not in report([benchmark], "t", "c")
