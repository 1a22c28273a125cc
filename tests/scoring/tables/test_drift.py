"""``ser benchmark check``: a changed figure is found in every page, and mended; so is a run that differs."""

import json

import pytest

from ser.cli import benchmark
from ser.core.errors import UserError
from ser.scoring.report.report import write_results
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.tables.drift import check_page, check_run
from ser.scoring.tables.published import FILE, read_published
from tests.scoring.builder import System, make_data, make_experiment

MARKED = "# Page\n\n<!-- table r/RESULTS.md; Emotion, 7 classes; {names} -->\n{body}<!-- end -->\n\nmore\n"


@pytest.fixture
def recipe(tmp_path):
    data = make_data(tmp_path / "data" / "all", speakers=3, each=14)
    folders = [
        make_experiment(tmp_path / "exp" / name, data, System("mean", name)) for name in ("a", "b", "c")
    ]
    for folder in folders:
        score_experiment(folder, data.path, draws=30)
    write_results(folders, tmp_path / "r", "Title", "one\ntwo")
    return tmp_path / "r", folders


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_was_written_does_not_differ_and_has_no_utterance(recipe):
    folder, folders = recipe
    assert check_page(folder / "RESULTS.md", folder) is None
    kept, own = read_published(folder / FILE), Scores.read(folders[0] / "scores.json")
    assert [scores.experiment for scores in kept] == ["a", "b", "c"]
    assert kept[0].classification == own.classification and kept[0].utterances.ids == []
    assert not any(fit.curve for scores in kept for fit in scores.fits)


def test_no_folder_of_a_machine_is_kept(recipe):
    folder, folders = recipe
    scores = Scores.read(folders[0] / "scores.json")
    scores.info["upstream"]["upstream"] = "hf:/home/me/models/encoder"
    scores.write(folders[0] / "scores.json")
    write_results(folders, folder, "Title", "cmd")
    text = (folder / FILE).read_text()
    assert "/home" not in text and "hf:<folder>/encoder" in text


@pytest.mark.parametrize("what", ["figure", "row", "fact"])
def test_a_page_changed_by_hand_is_found_and_mended(recipe, what):
    folder, _ = recipe
    page = folder / "RESULTS.md"
    right = page.read_text()
    row = next(line for line in right.splitlines() if line.endswith("| b |"))
    old, new = {
        "figure": (row, row.replace("[.", "[.9", 1)),
        "row": (f"{row}\n", ""),
        "fact": ("of 3 speakers", "of 30 speakers"),
    }[what]
    change(page, old, new)
    with pytest.raises(UserError, match="differ from the scores"):
        benchmark.main(["check", str(page)])
    assert page.read_text() != right
    benchmark.main(["check", str(page), "--write"])
    assert page.read_text() == right


def test_scores_that_moved_make_the_page_differ(recipe):
    folder, _ = recipe
    lines = (folder / FILE).read_text().splitlines()
    first = json.loads(lines[0])
    first["classification"]["metrics"]["UAR"]["value"] = 0.123
    (folder / FILE).write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    drift = check_page(folder / "RESULTS.md", folder)
    assert any(line.startswith("+") and ".123 [" in line for line in drift.difference)


def test_marked_tables_have_the_rows_they_name_in_the_order_of_the_source(recipe, tmp_path):
    folder, _ = recipe
    page = tmp_path / "README.md"
    page.write_text(MARKED.format(names="c a", body="anything\n"))
    benchmark.main(["check", str(page), "--root", str(tmp_path), "--write"])
    assert check_page(page, tmp_path) is None
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    source = (folder / "RESULTS.md").read_text().splitlines()
    assert rows[2:] == [line for line in source if line.endswith(("| a |", "| c |"))][:2] and len(rows) == 4
    assert page.read_text().endswith("<!-- end -->\n\nmore\n")
    page.write_text("    " + MARKED.format(names="nobody", body="").replace("\n", "\n    "))
    assert check_page(page, tmp_path) is None  # an example of a mark is none
    page.write_text(MARKED.format(names="", body=""))
    assert len([line for line in check_page(page, tmp_path).difference if line.startswith("+|")]) == 5


@pytest.mark.parametrize("old, new, match", [
    ("c a", "c nobody", "no row of nobody"), ("7 classes", "8 classes", "no table of that name"),
    ("r/RESULTS.md", "s/RESULTS.md", "no such RESULTS.md"),
])  # fmt: skip
def test_marks_that_name_nothing_are_refused(recipe, tmp_path, old, new, match):
    page = tmp_path / "README.md"
    page.write_text(MARKED.format(names="c a", body=""))
    change(page, old, new)
    with pytest.raises(UserError, match=match):
        check_page(page, tmp_path)


def test_a_page_without_scores_is_refused(recipe):
    folder, _ = recipe
    (folder / FILE).write_text("{}\n")
    with pytest.raises(UserError, match="not as 'ser benchmark table' writes it") as caught:
        check_page(folder / "RESULTS.md", folder)
    assert caught.value.line == 1
    (folder / FILE).unlink()
    with pytest.raises(UserError, match=f"no {FILE} beside"):
        check_page(folder / "RESULTS.md", folder)
    with pytest.raises(UserError, match="no such page"):
        check_page(folder / "nothing.md", folder)


def test_a_second_run_that_scored_the_same_agrees_whatever_the_clock_says(recipe):
    folder, folders = recipe
    scores = Scores.read(folders[0] / "scores.json")
    scores.fits[0].seconds += 100
    scores.info["timing"]["times_real_time"] = 1.0
    scores.write(folders[0] / "scores.json")
    assert check_run(folder / "RESULTS.md", folders) == []
    benchmark.main(["check", str(folder / "RESULTS.md"), "--run", *map(str, folders)])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("end", "share", "agrees"),
    [("value", 0.24, True), ("value", 0.26, False), ("low", 0.49, True), ("high", 0.51, False)],
)
def test_another_processor_may_round_otherwise(recipe, end, share, agrees, sign):
    folder, folders = recipe
    scores = Scores.read(folders[0] / "scores.json")
    value = scores.classification.metrics["UAR"]
    assert value.high - value.low > 0.01
    setattr(value, end, getattr(value, end) + sign * share * (value.high - value.low))
    scores.write(folders[0] / "scores.json")
    assert bool(check_run(folder / "RESULTS.md", folders)) != agrees


def test_without_an_interval_three_decimals_count(recipe):
    folder, folders = recipe
    scores = Scores.read(folders[0] / "scores.json")
    value = scores.classification.metrics["UAR"]
    value.low = value.high = None
    scores.write(folders[0] / "scores.json")
    [line] = check_run(folder / "RESULTS.md", folders)
    assert line.endswith(f"{value.value:.3f} [undefined, undefined] now")


def test_a_second_run_that_scored_otherwise_is_told(recipe, tmp_path, capsys):
    folder, folders = recipe
    scores = Scores.read(folders[0] / "scores.json")
    scores.classification.metrics["UAR"].value += 0.1
    scores.write(folders[0] / "scores.json")
    [line] = check_run(folder / "RESULTS.md", folders)
    assert line.startswith("a, emotion, UAR: ")
    with pytest.raises(UserError, match="scored otherwise"):
        benchmark.main(["check", str(folder / "RESULTS.md"), "--run", str(folders[0])])
    scores.experiment = "stranger"
    scores.write(folders[0] / "scores.json")
    with pytest.raises(UserError, match="none of these"):
        check_run(folder / "RESULTS.md", folders[:1])
