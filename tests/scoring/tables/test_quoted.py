"""Published figures beside ours: read, checked, under the right table, never ranked or given an interval."""

import csv
import io

import pytest
import yaml

from ser.core.errors import UserError
from ser.scoring.report.report import report, write_results
from ser.scoring.score import score_experiment
from ser.scoring.tables.quoted import read_quotations
from ser.scoring.tables.rows import read_benchmarks
from ser.scoring.tables.table import comma_separated, markdown, terminal
from tests.scoring.builder import System, make_data, make_experiment
from tests.scoring.report.test_report import Page

EVIL = "<b>x | y"
PAPER = {
    "source": "Someone, Journal 2020, table 1",
    "corpus": "emodb",
    "set": "test",
    "setting": "release 1.2",
    "rows": [
        {"system": "weak", "scores": {"emotion": {"UAR": 0.111}, "naturalness": {"O-CCC": 0.101}}},
        {
            "system": "strong", "upstream": "hubert_large", "transductive": True,
            "scores": {"naturalness": {"O-CCC": 0.999, "A-CCC": 0.531, "A-CCC sd": 0.177}},
        },
        {"system": "best", "scores": {"emotion": {"UAR": 0.999, "WA": 1}}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("quoted")
    data = make_data(root / "data" / "all", speakers=4, each=14)
    systems = {"plain": System("mean"), "spk": System("mean", options=["per-speaker standardisation"])}
    made = [make_experiment(root / "exp" / name, data, system) for name, system in systems.items()]
    for folder in made:
        score_experiment(folder, data.path, draws=30)
    return made


@pytest.fixture
def quote(tmp_path):
    """Writes quotations and reads them."""

    def written(*quotations):
        path = tmp_path / "quoted.yaml"
        path.write_text(yaml.safe_dump(list(quotations)))
        return path

    return written


def changed(row=None, **keys):
    """The paper with its first row, or itself, otherwise."""
    return PAPER | {"rows": [PAPER["rows"][0] | (row or {})]} | keys


def test_rows_stand_with_systems_that_hear_as_much_in_the_order_of_the_paper(folders, quote):
    (benchmark,) = read_benchmarks(folders, read_quotations([quote(PAPER)]))
    seen = {(t.task, t.transductive): [row.system.system for row in t.quoted] for t in benchmark.tables}
    assert seen == {
        ("emotion", False): ["weak", "best"], ("emotion", True): [],
        ("naturalness", False): ["weak"], ("naturalness", True): ["strong"],
    }  # fmt: skip


def test_measured_rows_are_as_without_and_come_first(folders, quote):
    without, quoted = (read_benchmarks(folders, read_quotations(files)) for files in ([], [quote(PAPER)]))
    lines = markdown(without, "t", "c").splitlines()
    more = markdown(quoted, "t", "c").splitlines()
    added = [line for line in more if line not in lines]
    assert [line for line in more if line in lines] == lines
    rows = [line for line in added if line.startswith("|")]
    assert len(rows) == 4
    assert len(added) == 5
    for row in rows:
        assert "*quoted: " in row
        assert row.endswith("| *Someone, Journal 2020, table 1* |")
        assert "**" not in row
        assert "[" not in row
        following = more[more.index(row) + 1]
        assert following in ("", *rows)
    assert "not ranked among ours" in added[-1]
    assert any("*.531 (sd .177)*" in row and "*hubert_large*" in row for row in rows)
    assert "quoted: best; release 1.2" in terminal(quoted)
    assert "quoted" not in terminal(without)


def test_csv_says_where_a_figure_is_from_and_has_other_columns_only_then(folders, quote):
    without, quoted = (read_benchmarks(folders, read_quotations(files)) for files in ([], [quote(PAPER)]))
    plain = list(csv.DictReader(io.StringIO(comma_separated(without))))
    rows = list(csv.DictReader(io.StringIO(comma_separated(quoted))))
    ours = [row for row in rows if not row["quoted_from"]]
    assert [{key: row[key] for key in plain[0]} for row in ours] == plain
    assert "quoted_from" not in plain[0]
    theirs = [row for row in rows if row["quoted_from"]]
    assert len(theirs) == 6
    [a_ccc] = [row for row in theirs if row["metric"] == "A-CCC"]
    assert (a_ccc["value"], a_ccc["sd_over_speakers"], a_ccc["low"], a_ccc["experiment"]) == (
        "0.531",
        "0.177",
        "",
        "",
    )
    assert a_ccc["transductive"] == "1"
    assert a_ccc["quoted_setting"] == "release 1.2"


def test_the_page_keeps_them_out_of_what_is_sorted_and_out_of_pictures(folders, quote):
    hostile = changed(source=EVIL, row={"system": EVIL, "upstream": EVIL, "note": EVIL})
    text = report(read_benchmarks(folders, read_quotations([quote(PAPER, hostile)])), "t", "c")
    page = Page(text)
    bodies = [values.get("class") for tag, values in page.tags if tag == "tbody"]
    assert bodies.count("quoted") == 3
    assert all(bodies[place - 1] is None for place, name in enumerate(bodies) if name == "quoted")
    assert "<b>" not in text
    assert "Quoted, not measured here" in text
    plain = Page(report(read_benchmarks(folders), "t", "c"))
    pictures = [[tag for tag, _ in each.tags].count("circle") for each in (page, plain)]
    assert pictures[0] == pictures[1]


def test_cells_cannot_break_out_of_the_table(folders, quote):
    hostile = changed(source=EVIL, row={"system": EVIL})
    text = markdown(read_benchmarks(folders, read_quotations([quote(hostile)])), "t", "c")
    rows = [line for line in text.splitlines() if "quoted: " in line]
    assert rows
    assert all("<b>" not in row and "x \\| y" in row for row in rows)


@pytest.mark.parametrize("where", [{"corpus": "iemocap"}, {"set": "test-b"}])
def test_a_row_without_a_place_is_told(folders, quote, caplog, where):
    (benchmark,) = read_benchmarks(folders, read_quotations([quote(changed(**where))]))
    assert not any(table.quoted for table in benchmark.tables)
    assert "quoted row 'weak' of Someone, Journal 2020, table 1 has no measured row" in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(row={"scores": {"emotion": {"UAR": 71.2}}}), r"UAR of .* out of range: '71.2'\. Shares"),
        (changed(row={"scores": {"emotion": {"CCC": 0.5}}}), r"no such metric: 'CCC'\. Tables of .* UAR"),
        (changed(row={"scores": {"valence": {"UAR": 0.5}}}), r"no such metric: 'UAR'\. Tables of .* O-CCC"),
        (changed(row={"scores": {"valence": {"O-CCC": float("nan")}}}), "out of range"),
        (changed(row={"scores": {"valence": {"MAE": float("inf")}}}), "out of range"),
        (changed(row={"scores": {}}), "quoted row without scores: 'weak'"),
        (changed(row={"scores": {"emotion": {"UAR": ".7"}}}), "is '.7', not float"),
        (changed(row={"best": True}), "unknown key 'best'"),
        ({"source": "x"}, "has no key 'corpus'"),
    ],
)  # fmt: skip
def test_files_that_no_table_could_hold_are_refused_by_place(quote, content, words):
    path = quote(content)
    with pytest.raises(UserError, match=words) as caught:
        read_quotations([path])
    assert str(path) in str(caught.value)


def test_nothing_is_written_for_a_bad_file(folders, quote, tmp_path):
    with pytest.raises(UserError):
        write_results(folders, tmp_path / "out", "t", "c", [quote({"source": "x"})])
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"none\.yaml"):
        write_results(folders, tmp_path / "out", "t", "c", [tmp_path / "none.yaml"])
