"""Tables: every number comes from scores.json, and only what is comparable stands side by side."""

import csv
import io
import re
import shutil

import pytest
import yaml

from ser.core.errors import UserError
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.tables.rows import Row, read_benchmarks
from ser.scoring.tables.table import comma_separated, markdown, terminal, training_cell
from ser.scoring.text import with_interval
from tests.scoring.builder import System, make_data, make_experiment

SYSTEMS = {
    "fbank": System("mean, linear", "fbank", 0.3, speed=812.4),
    "whisper": System(
        "layer weights", "hf:/m/whisper", 0.8, (0, 1), layers=7, parameters=20_590_592, speed=52.3
    ),
    "egemaps_spk": System("linear", "egemaps", 0.6, options=["per-speaker standardisation"]),
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Folders of three experiments on one data directory, scored."""
    root = tmp_path_factory.mktemp("benchmark")
    data = make_data(root / "data" / "all", speakers=5, each=14)
    folders = [make_experiment(root / "exp" / name, data, system) for name, system in SYSTEMS.items()]
    for folder in folders:
        score_experiment(folder, data.path, draws=50)
    return folders, data


@pytest.fixture
def copied(scored, tmp_path):
    """The same, free to be changed."""
    folders, data = scored
    shutil.copytree(folders[0].parent, tmp_path / "exp")
    return [tmp_path / "exp" / folder.name for folder in folders], data


def test_rows_best_first_and_transductive_systems_in_a_table_of_their_own(scored):
    (benchmark,) = read_benchmarks(scored[0])
    seen = [
        (table.task, table.transductive, [row.scores.experiment for row in table.rows])
        for table in benchmark.tables
    ]
    assert seen == [
        ("emotion", False, ["whisper", "fbank"]),
        ("emotion", True, ["egemaps_spk"]),
        ("naturalness", False, ["whisper", "fbank"]),
        ("naturalness", True, ["egemaps_spk"]),
    ]


@pytest.mark.parametrize(
    ("options", "info", "expected"),
    [
        (["per-speaker standardisation (transductive)"], {}, True),
        (["per-speaker standardisation"], {}, True),
        (["speakers adapted, transductive"], {}, True),
        ([], {"transductive": True}, True),
        (["balanced class weights"], {}, False),
    ],
)
def test_transductive_systems_are_known_by_their_options(scored, options, info, expected):
    scores = Scores.read(scored[0][0] / "scores.json")
    scores.info = {**scores.info, "options": options, **info}
    assert Row(scores, "emotion").transductive is expected


def test_every_number_of_results_md_is_in_scores_json(scored):
    folders, _ = scored
    text = markdown(read_benchmarks(folders), "Title", "./run.sh")
    for folder in folders:
        scores = Scores.read(folder / "scores.json")
        row = next(line for line in text.splitlines() if line.endswith(f"| {folder.name} |"))
        cells = [cell.strip() for cell in row.split("|")]
        for name, value in scores.classification.metrics.items():
            assert with_interval(value, name) in cells, name
        natural = scores.attributes["naturalness"]
        sd = f"(sd {natural.a_ccc_sd:.3f})".replace("0.", ".")
        assert f"| {with_interval(natural.metrics['A-CCC'])} {sd} |" in text
    assert "20.6 M / 4,000" in text and "52 ×" in text and "mean of 2 seeds" in text


def test_results_md_says_what_a_reviewer_asks(scored):
    text = markdown(read_benchmarks(scored[0]), "Upstreams", "./run.sh --db-root X")
    for part in (
        "# Upstreams", "    ./run.sh --db-root X", "70 utterances of 5 speakers",
        "leave-one-speaker-out, 5 folds", "50 draws, seed 0", "Fewer than 20 speakers", "no claim",
        "transductive",
    ):  # fmt: skip
        assert part in text, part
    assert "**" not in text and not re.search(r"20\d\d-\d\d", text), "no row in bold, no date"


def test_csv_holds_full_precision_and_reads_back(scored):
    folders, _ = scored
    rows = list(csv.DictReader(io.StringIO(comma_separated(read_benchmarks(folders)))))
    assert len(rows) == 3 * (4 + 4)
    for folder in folders:
        scores = Scores.read(folder / "scores.json")
        for row in (row for row in rows if row["experiment"] == folder.name):
            part = scores.classification if row["task"] == "emotion" else scores.attributes[row["task"]]
            value = part.metrics[row["metric"]]
            assert [float(row[key]) for key in ("value", "low", "high")] == pytest.approx(
                [value.value, value.low, value.high], rel=1e-5
            )
            assert bool(row["sd_over_speakers"]) == (row["metric"] == "A-CCC")


def test_order_of_the_folders_changes_nothing_and_twice_is_the_same(scored):
    folders, _ = scored
    first, second = read_benchmarks(folders), read_benchmarks([*folders[::-1], folders[0]])
    for render in (terminal, comma_separated, lambda b: markdown(b, "t", "c")):
        assert render(first) == render(second)


def test_columns_of_the_terminal_line_up(scored):
    lines = terminal(read_benchmarks(scored[0])).splitlines()
    header = next(line for line in lines if "UAR" in line)
    rows = lines[lines.index(header) + 1 :][:2]
    assert {row.index("whisper") if "whisper" in row else row.index("fbank") for row in rows} == {
        header.index("upstream")
    }


def test_derived_and_synthetic_are_called_so(tmp_path):
    data = make_data(tmp_path / "test", 3, 7, corpus="mini", folds=False, derived=("emo", "naturalness"))
    experiment = make_experiment(tmp_path / "exp", data, System("linear"))
    score_experiment(experiment, data.path, draws=20)
    text = markdown(read_benchmarks([experiment]), "t", "c")
    assert "**Synthetic speech**" in text and "labels of naturalness are **derived**" in text
    assert "### Emotion, 7 classes, derived labels" in text


def test_sets_and_protocols_do_not_share_a_table(scored, tmp_path):
    folders, _ = scored
    other = make_data(tmp_path / "test1", 3, 7, folds=False)
    experiment = make_experiment(tmp_path / "exp", other, System("linear"), set_name="test1")
    score_experiment(experiment, other.path, draws=50)
    titles = [benchmark.title for benchmark in read_benchmarks([*folders, experiment])]
    assert titles == ["emodb 1.3", "emodb 1.3, test1"]


def test_experiments_scored_on_other_data_labels_or_draws_are_refused(copied):
    folders, data = copied
    score_experiment(folders[0], data.path, draws=60)
    with pytest.raises(UserError, match="other draws"):
        read_benchmarks(folders)
    path = folders[0] / "scores.json"
    score_experiment(folders[0], data.path, draws=50)
    good = path.read_text()
    path.write_text(good.replace('"03-03a000"', '"03-03a099"'))
    with pytest.raises(UserError, match="other utterances: 03-03a000, 03-03a099"):
        read_benchmarks(folders)
    path.write_text(good.replace('"reference": [0, 1', '"reference": [1, 1'))
    with pytest.raises(UserError, match=r"fbank.* other labels"):
        read_benchmarks(folders)


def test_unscored_experiments_name_the_stage_that_is_missing(copied, tmp_path):
    folders, _ = copied
    (folders[0] / "scores.json").unlink()
    with pytest.raises(UserError, match=r"without scores.json.*stage 12"):
        read_benchmarks(folders)
    for path in folders[0].glob("seed0/fold*/test/pred.scp"):
        path.unlink()
    with pytest.raises(UserError, match=r"stage 9 .* and 12"):
        read_benchmarks(folders)
    with pytest.raises(UserError, match="no such experiment"):
        read_benchmarks([tmp_path / "nothing"])
    with pytest.raises(UserError, match="no experiments"):
        read_benchmarks([])


def test_submissions_alone_are_no_table(tmp_path):
    data = make_data(tmp_path / "blind", 2, 7, folds=False, labelled=False)
    experiment = make_experiment(tmp_path / "exp", data, System("s", attributes=[]), set_name="blind")
    score_experiment(experiment, data.path)
    with pytest.raises(UserError, match="submissions only"):
        read_benchmarks([experiment])


def test_cells_cannot_break_out_of_the_table(copied):
    folders, _ = copied
    for folder in folders:
        info = yaml.safe_load((folder / "info.yaml").read_text())
        info["name"] = "a | b <b>"
        scores = Scores.read(folder / "scores.json")
        scores.info = info
        scores.write(folder / "scores.json")
    text = markdown(read_benchmarks(folders), "t", "c")
    assert "a \\| b &lt;b>" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {12}


def test_training_is_summed_over_folds_and_averaged_over_seeds(copied):
    """And memory is the most of any fold; older experiments have not measured it."""
    folders, _ = copied
    scores = Scores.read(folders[0] / "scores.json")
    row = Row(scores, "emotion")
    assert training_cell(row) == f"{1.5 * len(scores.folds):.1f} s"
    for number, fit in enumerate(scores.fits):
        fit.peak_memory_mb = 512.0 * (1 + number)
    most = 0.5 * len(scores.fits)
    assert training_cell(row) == f"{1.5 * len(scores.folds):.1f} s, {most:.1f} GB"


def test_unknown_speed_and_parameters_are_dashes(copied):
    folders, _ = copied
    scores = Scores.read(folders[0] / "scores.json")
    scores.info["timing"], scores.info["upstream"]["parameters"] = None, None
    scores.fits = []
    scores.write(folders[0] / "scores.json")
    row = next(
        line for line in markdown(read_benchmarks(folders), "t", "c").splitlines() if "| fbank |" in line
    )
    assert "| – / – | – |" in row
