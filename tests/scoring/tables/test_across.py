"""Upstreams by corpora: figures are those of scores.json, holes are holes, nobody's row passes for ours."""

import csv
import dataclasses

import pytest
import yaml

from ser.cli import benchmark as verb
from ser.core.errors import UserError
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.tables.across import across, write_across
from ser.scoring.tables.rows import Source, read_benchmarks
from ser.scoring.tables.sheet import ADDED, MEASURED, QUOTED
from ser.scoring.text import with_interval
from tests.scoring.builder import System, make_data, make_experiment

HUBERT = System("mean, linear", "hubert_base", 0.7)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Two corpora: fbank and hubert_base on one, fbank on the other."""
    root = tmp_path_factory.mktemp("across")
    folders = {}
    for corpus, systems in (("emodb", [System("mean, linear"), HUBERT]), ("other", [System("mean, linear")])):
        data = make_data(root / corpus / "data" / "all", speakers=4, each=14, corpus=corpus)
        for system in systems:
            folder = root / corpus / "exp" / f"{system.upstream}_emotion"
            folders[corpus, system.upstream] = make_experiment(folder, data, system)
            score_experiment(folder, data.path, draws=30)
    return folders


@pytest.fixture
def colleague(scored, tmp_path):
    """A file of the same utterances from elsewhere, with another upstream."""
    scores = Scores.read(scored["emodb", "fbank"] / "scores.json")
    scores = dataclasses.replace(scores, experiment="x", info={**scores.info, "upstream": {"tag": "wav_lm"}})
    scores.write(tmp_path / "theirs" / "scores.json")
    return tmp_path / "theirs" / "scores.json"


def test_rows_are_upstreams_and_columns_corpora(scored):
    emotion, natural = across(read_benchmarks(list(scored.values())), ["hubert_base", "fbank"])
    assert (emotion.title, natural.title) == ("Emotion: UAR", "Naturalness: O-CCC")
    assert emotion.columns == ("emodb 1.3", "other 1.3")
    assert [line.heads for line in emotion.lines] == [("hubert_base", "emotion"), ("fbank", "emotion")]
    hole = emotion.lines[0].entries[1]
    assert (hole.value, hole.interval) == ("–", "") and "–: not scored." in emotion.notes
    for column, corpus in enumerate(("emodb", "other")):
        value = Scores.read(scored[corpus, "fbank"] / "scores.json").classification.metrics["UAR"]
        assert str(emotion.lines[1].entries[column]) == with_interval(value)


def test_a_colleagues_row_is_marked_and_never_joined_with_ours(scored, colleague):
    sources = [*scored.values(), Source(colleague, "Lab B", added=True)]
    lines = {line.heads: line.kind for line in across(read_benchmarks(sources))[0].lines}
    assert lines["wav_lm", "Lab B"] == ADDED and lines["fbank", "emotion"] == MEASURED
    same = Source(scored["other", "fbank"] / "scores.json", "fbank_emotion", added=True)
    lines = across(read_benchmarks([scored["emodb", "fbank"], same]))[0].lines
    assert [(line.heads, line.kind) for line in lines] == [
        (("fbank", "emotion"), MEASURED),
        (("fbank", "emotion"), ADDED),
    ]


def test_a_colleague_with_other_utterances_is_refused(scored, colleague, tmp_path):
    scores = Scores.read(colleague)
    scores.utterances.ids[0] = "zz-1"
    scores.write(tmp_path / "scores.json")
    with pytest.raises(UserError, match=r"Lab B.* scored on other utterances"):
        read_benchmarks([*scored.values(), Source(tmp_path / "scores.json", "Lab B", added=True)])


def test_two_systems_of_one_name(scored):
    folder = scored["emodb", "fbank"]
    with pytest.raises(UserError, match=r"two systems on emodb 1\.3 have one name: 'fbank_emotion'"):
        across(read_benchmarks([folder, Source(folder / "scores.json", "fbank_emotion")]))


def test_quoted_figures_stand_last_in_italics(scored, tmp_path):
    rows = [{"system": "Paper & Co", "upstream": "hubert_large", "scores": {"emotion": {"UAR": 0.8}}}]
    quotation = {"source": "A_B, 2024", "corpus": "other", "set": "test", "rows": rows}
    (tmp_path / "quoted.yaml").write_text(yaml.safe_dump([quotation]))
    text, files = write_across(
        list(scored.values()), tmp_path / "out", "T", "cmd", [tmp_path / "quoted.yaml"]
    )
    assert [path.name for path in files] == ["grid.md", "grid.csv", "grid.tex", "grid.html"]
    assert "quoted: Paper & Co" in text
    markdown = (tmp_path / "out" / "grid.md").read_text()
    assert "| *hubert_large* | *quoted: Paper & Co* | – | *.800* |" in markdown
    assert "figures printed in A_B, 2024; not measured here" in markdown and "**" not in markdown
    assert (
        r"\textit{quoted: Paper \& Co} & -- & \textit{.800} \\" in (tmp_path / "out" / "grid.tex").read_text()
    )
    with open(tmp_path / "out" / "grid.csv") as stream:
        found = [row for row in csv.DictReader(stream) if row["quoted_from"]]
    assert [(row["value"], row["low"]) for row in found] == [("0.8", "")]


def test_quoted_lines_are_of_their_kind(scored):
    sheets = across(read_benchmarks(list(scored.values())))
    assert not any(line.kind == QUOTED for sheet in sheets for line in sheet.lines)


def test_a_colleagues_file_from_the_command_line(scored, colleague, tmp_path, capsys):
    folder = scored["emodb", "fbank"]
    verb.main(["table", str(folder), "--add", f"Lab B={colleague}", "--out", str(tmp_path / "out")])
    assert "scores handed in, not run here" in capsys.readouterr().out
    text = (tmp_path / "out" / "results.tex").read_text()
    assert r"wav\_lm $^\dagger$ & " in text and r"fbank $^\dagger$" not in text
    assert "| Lab B |" in (tmp_path / "out" / "RESULTS.md").read_text()
    with pytest.raises(UserError, match="--add takes NAME=PATH"):
        verb.main(["table", str(folder), "--add", str(colleague), "--out", str(tmp_path / "out")])
