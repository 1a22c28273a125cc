"""``ser benchmark compare``: its files, its properties, and every way to refuse."""

import csv
import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ser.cli import benchmark
from ser.core.errors import UserError
from ser.scoring.comparison.compare import compare
from ser.scoring.comparison.folds import fold_test
from ser.scoring.schema import Bootstrap
from ser.scoring.score import score_experiment
from tests.scoring.builder import System, make_data, make_experiment
from tests.scoring.comparison.dialogues import make_dialogues

HOW = Bootstrap(draws=150, seed=0, level=0.95, unit="speaker")
SYSTEMS = {"base": (0.3, (0, 1)), "near": (0.35, (0, 1)), "good": (0.9, (0,))}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    root = tmp_path_factory.mktemp("grid")
    data = make_dialogues(root / "all", speakers=12, folds=5)
    half = {u: str(i % 2) for i, u in enumerate(data.utterances)}
    data.tables["utt2ambiguous"] = half
    data.tables["utt2emo"] = {u: v for i, (u, v) in enumerate(data.tables["utt2emo"].items()) if i % 9}
    data.write(root / "all")
    return data, [
        make_experiment(root / name, data, System(name, skill=skill, seeds=seeds))
        for name, (skill, seeds) in SYSTEMS.items()
    ]


def read(path):
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def run(folders, data, out, *options):
    benchmark.main(
        [
            "compare",
            *map(str, folders),
            "--data",
            str(data.path),
            "--out",
            str(out),
            "--draws",
            "150",
            *options,
        ]
    )


def test_writes_tables_and_pictures_twice_the_same(grid, tmp_path, capsys):
    data, folders = grid
    for name in ("one", "two"):
        run(folders, data, tmp_path / name, "--command", "c", "--cluster", "dialogue")
    printed = capsys.readouterr().out
    names = ["comparison.md", "comparison.csv", "positions.csv", "positions.svg"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(names)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path / "two" / name) in printed
    text = (tmp_path / "one" / "comparison.md").read_text()
    unlabelled = 12 * 21 - len(data.classes_of())
    for part in (
        "    c\n", f"the same {len(data.classes_of())} utterances for all systems, of 18 dialogues",
        f"{unlabelled} without the label, not scored", "Fewer than 20 dialogues", "over 4 differences",
        "One seed: good", "base 2, near 2", "cannot go below .0625", "| System | UAR | Difference to base |",
        "| good |", "## Naturalness, 0 to 100: O-CCC",
    ):  # fmt: skip
        assert part in text, part


def test_csv_has_the_scores_of_ser_score_for_one_seed_and_the_tests(grid, tmp_path):
    data, folders = grid
    run(folders, data, tmp_path, "--metric", "UAR", "WA", "A-CCC")
    rows = {(row["metric"], row["system"]): row for row in read(tmp_path / "comparison.csv")}
    scores = score_experiment(folders[2], data.path, draws=150).scores
    for part in (scores.classification, scores.attributes["naturalness"]):
        for name, value in part.metrics.items():
            if (name, "good") in rows:
                own = rows[name, "good"]
                numbers = [float(own[key]) for key in ("value", "low", "high")]
                assert numbers == pytest.approx([value.value, value.low, value.high], abs=1e-6)
                assert int(own["clusters"]) == part.clusters and int(own["utterances"]) == part.scored
    assert len(rows) == 9
    own = rows["UAR", "good"]
    assert float(own["p"]) == pytest.approx(2 / 151, abs=1e-6), "the least of 150 draws"
    assert float(own["p_holm"]) == pytest.approx(6 * 2 / 151, abs=1e-6), "3 metrics of 2 systems"
    assert own["p_sign_flip"] == own["sign_flip_floor"] == "0.0625" and own["folds"] == "5"
    assert rows["UAR", "base"]["difference"] == "" and rows["UAR", "base"]["p_t"] == ""


def test_tests_over_folds_are_those_of_the_folds_scored_alone(grid, tmp_path):
    data, folders = grid
    row = compare(folders[:2], data.path, None, HOW).parts[0].rows[1]
    classes, gaps = data.classes_of(), []
    for fold in sorted(set(data.folds().values())):
        part = data.subset([u for u in data.utterances if data.folds()[u] == fold and u in classes])
        del part.tables["utt2fold"]
        part.write(tmp_path / fold / "data")
        values = []
        for folder in folders[:2]:
            for seed in (0, 1):
                own = tmp_path / fold / folder.name / f"seed{seed}" / "fold0"
                own.mkdir(parents=True)
                (own / "data").mkdir()
                source = folder / f"seed{seed}" / f"fold{fold}" / "test"
                (own / "data" / "columns.yaml").write_bytes((source / "columns.yaml").read_bytes())
                kept = [
                    x for x in (source / "pred.scp").read_text().splitlines(True) if x.split()[0] in classes
                ]
                (own / "data" / "pred.scp").write_text("".join(kept))
            (tmp_path / fold / folder.name / "info.yaml").write_bytes((folder / "info.yaml").read_bytes())
            scores = score_experiment(tmp_path / fold / folder.name, part.path, draws=5).scores
            values.append(scores.classification.metrics["UAR"].value)
        gaps.append(values[1] - values[0])
    assert row.folds == fold_test(gaps)


def test_order_of_the_experiments_changes_no_p_and_swapping_turns_the_sign(grid):
    data, (base, near, good) = grid
    there, back = (
        {row.system: row for row in compare(order, data.path, None, HOW).parts[0].rows}
        for order in ([base, near, good], [base, good, near])
    )
    assert there == back
    swapped = compare([near, base], data.path, None, HOW).parts[0].rows[1]
    assert swapped.difference.p == there["near"].difference.p
    assert swapped.difference.value == pytest.approx(-there["near"].difference.value)
    assert swapped.folds.p_t == pytest.approx(there["near"].folds.p_t)


def test_a_copy_differs_by_nothing_and_shares_the_rank(grid, tmp_path):
    data, (base, *_) = grid
    copy = make_experiment(tmp_path / "copy", data, System("base", skill=0.3, seeds=(0, 1)))
    for part in compare([base, copy], data.path, None, HOW).parts:
        row = part.rows[1]
        assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
        assert row.difference.p == row.p_holm == row.folds.p_t == row.folds.p_flip == 1
        assert [each.rank for each in part.rows] == [(1, 2), (1, 2)]


def test_less_is_better_where_the_metric_is_an_error(grid):
    data, folders = grid
    (part,) = compare(folders, data.path, None, HOW, metrics=["MAE"]).parts
    assert part.rows[2].rank == (1, 1) and part.rows[2].difference.value < 0


def test_where_takes_the_utterances_of_a_subset_alone(grid, tmp_path):
    data, folders = grid
    found = compare(folders, data.path, None, HOW, where=["ambiguous=1", "emo=fear"]).parts[0]
    kept = {u for u, v in data.classes_of().items() if v == "fear" and data.tables["utt2ambiguous"][u] == "1"}
    assert {data.utterances[row] for row in found.task.rows} == kept and found.task.unlabelled == 0
    run(folders, data, tmp_path, "--where", "ambiguous=1")
    assert "set 'test', where ambiguous=1." in (tmp_path / "comparison.md").read_text()
    assert {row["where"] for row in read(tmp_path / "comparison.csv")} == {"ambiguous=1"}


def test_picture_holds_a_line_with_a_band_for_each_system_light_and_dark(grid, tmp_path):
    data, folders = grid
    weird = make_experiment(tmp_path / "a<b>&", data, System("weird"))
    run([*folders, weird], data, tmp_path / "out", "--metric", "WA")
    text = (tmp_path / "out" / "positions.svg").read_text()
    root = ElementTree.fromstring(text)
    panels = [g for g in root if g.tag.endswith("}g") and g.get("transform")]
    lines = [len([p for p in panel.iter() if p.get("class") == "line"]) for panel in panels]
    bands = [len([p for p in panel.iter() if p.get("class") == "band"]) for panel in panels]
    assert lines == bands == [4, 4, 3, 3], "the reference has no difference to itself"
    legend = [node.text for node in root.iter() if node.tag.endswith("}text")][-5:]
    assert legend == ["base", "near", "good", "a<b>&", "Bands: 95 % over speakers."]
    assert "prefers-color-scheme: dark" in text and not re.search(r"(href|src)=|@import|url\(", text)
    rows = read(tmp_path / "out" / "positions.csv")
    weights = [int(r["utterances"]) for r in rows if r["position"] == "dialogue" and r["system"] == "good"]
    assert sum(weights) == len(data.classes_of())


def test_each_of_many_systems_has_a_panel_with_the_reference_on_one_scale(grid, tmp_path):
    data, folders = grid
    more = [make_experiment(tmp_path / name, data, System(name)) for name in ("d", "e")]
    run([*folders, *more], data, tmp_path / "out", "--metric", "WA")
    root = ElementTree.fromstring((tmp_path / "out" / "positions.svg").read_text())
    panels = [g for g in root if g.tag.endswith("}g") and g.get("transform")]
    titles = [next(t.text for t in panel if t.get("class") == "title") for panel in panels]
    assert titles == ["near", "good", "d", "e"]
    marks = [[node.get("class") for node in panel.iter()] for panel in panels]
    assert {(own.count("band"), own.count("line")) for own in marks} == {(2, 2)}
    scales = [[t.text for t in panel if t.get("text-anchor") == "end"] for panel in panels]
    assert scales[0] and all(own == scales[0] for own in scales)
    legend = [node.text for node in root.iter() if node.tag.endswith("}text")][-3:]
    assert legend == ["base", "the system above the panel", "Bands: 95 % over speakers."]


def test_without_turns_there_are_no_positions_and_without_folds_no_fold_tests(tmp_path):
    data = make_data(tmp_path / "test", speakers=21, each=7, folds=False)
    folders = [make_experiment(tmp_path / n, data, System(n), set_name="test") for n in ("a", "b")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "positions.svg").write_text("of an earlier comparison")
    run(folders, data, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["comparison.csv", "comparison.md"]
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "folds" not in text and "Fewer than" not in text and "One seed: what another" in text
    assert {row["p_t"] for row in read(tmp_path / "out" / "comparison.csv")} == {""}


def test_more_tests_than_draws_can_tell_apart_are_said(grid, tmp_path):
    data, folders = grid
    run(folders, data, tmp_path / "few", "--metric", "UAR", "WA")
    assert "take more with --draws" in (tmp_path / "few" / "comparison.md").read_text()
    run(folders, data, tmp_path / "many", "--draws", "2000", "--metric", "UAR")
    assert "--draws." not in (tmp_path / "many" / "comparison.md").read_text()


def test_many_systems_are_told_apart_by_default(grid, tmp_path):
    """With 1,000 draws no p of 66 pairs could be below .05 after Holm."""
    data, (best, *_, worst) = grid[0], sorted(grid[1], key=lambda folder: -SYSTEMS[folder.name][0])
    folders = [tmp_path / f"{kind.name}{number}" for kind in (best, worst) for number in range(6)]
    for folder in folders:
        shutil.copytree(best if folder.name.startswith(best.name) else worst, folder)
    for draws, ranks in (("0", {"1-6", "7-12"}), ("1000", {"1-12"})):
        run(folders, data, tmp_path / draws, "--metric", "UAR", "--draws", draws)
        found = read(tmp_path / draws / "comparison.csv")
        assert {f"{row['rank_low']}-{row['rank_high']}" for row in found} == ranks
        text = (tmp_path / draws / "comparison.md").read_text()
        assert ("few for tests of all pairs" in text) == (draws == "1000")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--where", "ambiguous"], "not TABLE=VALUE"),
        (["--where", "nothing=1"], r"utt2nothing: no table"),
        (["--where", "ambiguous=2"], r"no utterance has the value.*There are 0, 1"),
        (["--metric", "UER"], r"no such --metric.*'UER'. There are UAR, WA"),
        (["--cluster", "session"], "utt2session"),
        (["--cluster", "speakers"], "no such --cluster"),
        (["--draws", "-1"], "at least 1"),
        (["--set", "other"], "no predictions"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(grid, tmp_path, options, says):
    data, folders = grid
    with pytest.raises(UserError, match=says):
        run(folders, data, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_other_utterances_are_refused_by_the_first_that_differs(grid, tmp_path):
    data, (base, *_) = grid
    less = data.subset(data.utterances[3:])
    other = make_experiment(tmp_path / "other", less, System("other"))
    missing = ", ".join(data.utterances[:3])
    with pytest.raises(UserError, match=rf"other/seed0: 3 of 252 utterances .* no prediction: {missing}"):
        compare([base, other], data.path, None, HOW)
    less.write(tmp_path / "less")
    with pytest.raises(UserError, match=rf"predicted utterances are not in .*less: {data.utterances[0]}"):
        compare([other, base], tmp_path / "less", None, HOW)


def test_nothing_in_common_and_doubled_names_are_refused(grid, tmp_path):
    data, (base, near, _) = grid
    with pytest.raises(UserError, match="base: experiment named twice"):
        compare([base, near, base], data.path, None, HOW)
    with pytest.raises(UserError, match="nothing to compare"):
        compare([base], data.path, None, HOW)
    only = [
        make_experiment(tmp_path / name, data, System(name, **lacking))
        for name, lacking in (("classes", {"attributes": []}), ("values", {"classes": []}))
    ]
    with pytest.raises(UserError, match="label that all predict: 'classes: emo; values: naturalness'"):
        compare(only, data.path, None, HOW)
    found = compare([base, only[0]], data.path, None, HOW)
    assert [part.task.name for part in found.parts] == ["emotion"]


def test_folders_of_one_name_are_told_apart_by_their_paths(grid, tmp_path):
    data, (base, *_) = grid
    twin = make_experiment(tmp_path / "base", data, System("twin"))
    rows = compare([base, twin], data.path, None, HOW).parts[0].rows
    assert [row.system for row in rows] == [str(base), str(twin)]
    assert np.isfinite(rows[1].difference.p)
