"""The tables of a benchmark hold the cells that are done, and name the others."""

import pytest

from ser.benchmark.config import Grid, Part
from ser.benchmark.plan import Cell
from ser.benchmark.table import write_tables
from ser.core.errors import UserError
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.text import with_interval
from tests.scoring.builder import System, make_data, make_experiment

UPSTREAMS = ("mfcc", "fbank")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A benchmark of two recipes on one corpus, three of whose four cells are scored."""
    home = tmp_path_factory.mktemp("tables")
    data = make_data(home / "data", speakers=3, each=14, attributes={})
    parts = []
    for recipe in ("ser1", "papt1"):
        folder = home / "egs" / "emodb" / recipe
        part = Part(folder, f"emodb/{recipe}", ("conf/emotion.yaml",), UPSTREAMS, (0,), False, None, ())
        parts.append(part)
        for upstream in UPSTREAMS if recipe == "ser1" else UPSTREAMS[:1]:
            system = System("linear", upstream, 0.5, attributes=[])
            score_experiment(
                make_experiment(folder / "exp" / f"{upstream}_emotion", data, system), data.path, draws=20
            )
    grid = Grid(home / "b.yaml", "Mine", tuple(parts), home / "out", 1, 1, (), {})
    return grid, [Cell(part, upstream, "conf/emotion.yaml") for part in parts for upstream in UPSTREAMS]


def test_one_recipe_has_rows_by_upstream_in_the_files_order(scored):
    grid, cells = scored
    text, files = write_tables(grid, cells[:2], set(cells[:2]), "the command")
    rows = [line.split("|")[1:4] for line in (grid.out / "grid.md").read_text().splitlines() if "|" in line]
    assert [[cell.strip() for cell in row[:2]] for row in rows[2:]] == [
        ["mfcc", "emotion"], ["fbank", "emotion"],
    ]  # fmt: skip
    value = Scores.read(cells[0].folder / "scores.json").classification.metrics["UAR"]
    assert rows[2][2].strip() == with_interval(value) and with_interval(value) in text
    assert [path.suffix for path in files] == [".md", ".csv", ".tex", ".html"]
    assert "    the command\n" in (grid.out / "grid.md").read_text()


def test_two_recipes_of_one_corpus_are_told_apart_and_what_is_not_done_is_named(scored, tmp_path):
    grid, cells = scored
    write_tables(grid, cells, set(cells[:3]), "c", tmp_path)
    text = (tmp_path / "grid.md").read_text()
    for system in ("| mfcc | emotion (ser1) |", "| mfcc | emotion (papt1) |", "| fbank | emotion (ser1) |"):
        assert system in text
    assert "- Not done or not up to date, hence not shown: emodb/papt1/fbank_emotion." in text


def test_nothing_done(scored, tmp_path):
    grid, cells = scored
    with pytest.raises(UserError, match="no cell is done"):
        write_tables(grid, cells, set(), "c", tmp_path / "none")
    assert not (tmp_path / "none").exists()
