"""report.html: one file that stands alone, the same bytes each time, every string escaped."""

import re
from html.parser import HTMLParser

import pytest

from ser.scoring.drawing import plots
from ser.scoring.report.report import report, write_results
from ser.scoring.schema import Fit, Scores, SpeakerRow, Value
from ser.scoring.score import score_experiment
from ser.scoring.tables.rows import read_benchmarks
from tests.scoring.builder import System, make_data, make_experiment

VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Checks that elements nest, and collects tags, ids and links."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.ids, self.links = [], [], [], []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    data = make_data(root / "data" / "all", speakers=4, each=14)
    systems = {
        "plain": System("mean", "fbank"),
        "layers": System("layer weights", "hubert_base", 0.8, seeds=(0, 1), layers=13),
        "spk": System("mean", "mfcc", options=["per-speaker standardisation"]),
    }
    made = [make_experiment(root / "exp" / name, data, system) for name, system in systems.items()]
    for folder in made:
        score_experiment(folder, data.path, draws=30)
    return made


def test_five_files_written_and_the_same_twice(folders, tmp_path):
    text, files = write_results(folders, tmp_path / "a", "Title", "cmd")
    _, again = write_results(folders[::-1], tmp_path / "b", "Title", "cmd")
    names = ["RESULTS.md", "scores.jsonl", "results.csv", "results.tex", "report.html"]
    assert [path.name for path in files] == names
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]
    assert "Emotion, 7 classes" in text


def test_page_nests_needs_no_network_and_names_every_picture(folders):
    text = report(read_benchmarks(folders), "Title", "cmd")
    page = Page(text)
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"^\s*//.*$", "", text, flags=re.M))
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object"}
    assert all("src" not in values for _, values in page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids) and page.links
    outer = [v for tag, v in page.tags if tag == "svg" and "class" in v]
    assert outer and all("aria-label" in values or values.get("aria-hidden") == "true" for values in outer)
    assert "nan" not in re.findall(r'[cxyd]\d?="[^"]*', text.lower()) and "None" not in text


def test_both_colour_schemes_define_the_same_colours(folders):
    style = re.search(r"<style>(.*?)</style>", report(read_benchmarks(folders), "t", "c"), re.S).group(1)
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    colours = dict(re.findall(r"(--[\w-]+): (.*?);", " ".join(blocks)))
    two = r"light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\)"
    assert [name for name, value in colours.items() if not re.fullmatch(two, value)] == []
    used = set(re.findall(r"var\((--[\w-]+)", style)) - {"--share", "--tone", "--gain", "--mark"}
    assert used <= set(colours)


def test_hostile_strings_stay_strings(folders, tmp_path):
    evil = '<script>alert(1)</script>" onload="x'
    scores = Scores.read(folders[0] / "scores.json")
    scores.experiment = scores.info["name"] = scores.data.corpus = evil
    scores.info["upstream"]["tag"] = scores.info["protocol"] = evil
    scores.classification.classes[0] = scores.classification.per_class[0].name = evil
    for row in [*scores.classification.per_speaker, *scores.attributes["naturalness"].per_speaker]:
        row.speaker += evil
    scores.fits[0].fold = evil
    (tmp_path / "x").mkdir()
    scores.write(tmp_path / "x" / "scores.json")
    text = report(read_benchmarks([tmp_path / "x"]), evil, evil)
    assert "<script>alert" not in text and text.count("<script") == 1
    assert not any("onload" in values for _, values in Page(text).tags)


def test_every_system_speaker_class_and_layer_is_there(folders):
    text = report(read_benchmarks(folders), "t", "c")
    page = Page(text)
    dots = [v["data-speaker"] for tag, v in page.tags if tag == "circle" and "data-speaker" in v]
    assert sorted(dots) == sorted(["03", "04", "05", "06"] * 3 * 2)
    assert sum(v.get("class") == "confusion" for tag, v in page.tags if tag == "table") == 3
    assert sum(v.get("class", "").startswith("bar") for tag, v in page.tags if tag == "rect") == 13
    curves = [v for tag, v in page.tags if tag == "path" and v.get("class") == "curve"]
    assert len(curves) == 2 * 4 * (1 + 2 + 1)


def test_undefined_values_and_missing_fits_leave_a_page(folders, tmp_path):
    scores = Scores.read(folders[1] / "scores.json")
    scores.fits = []
    nothing = Value(None, None, None, 30, [None, None])
    scores.classification.metrics = dict.fromkeys(scores.classification.metrics, nothing)
    for row in scores.attributes["naturalness"].per_speaker:
        row.metrics = dict.fromkeys(row.metrics)
    (tmp_path / "x").mkdir()
    scores.write(tmp_path / "x" / "scores.json")
    page = Page(report(read_benchmarks([tmp_path / "x"]), "t", "c"))
    assert not any(tag == "rect" for tag, _ in page.tags)


def test_shares_of_the_confusion_add_up(folders):
    page = Page(report(read_benchmarks(folders[:1]), "t", "c"))
    cells = [v["style"] for tag, v in page.tags if tag == "td" and v.get("class") in ("hit", "miss")]
    shares = [float(cell.split(":")[1]) for cell in cells]
    assert len(shares) == 49
    for row in range(7):
        assert sum(shares[7 * row : 7 * row + 7]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("values", [[0.41, 0.93], [-0.2, 0.1], [0.5, 0.5], [0.0, 1.0], [0.912, 0.9121], []])
def test_a_scale_holds_its_values_between_round_ticks(values):
    scale = plots.Scale.around(values, 200)
    assert all(scale.low - 1e-9 <= value <= scale.high + 1e-9 for value in values)
    assert scale.ticks[0] == pytest.approx(scale.low) and scale.ticks[-1] == pytest.approx(scale.high)
    assert 2 <= len(scale.ticks) <= 7 and len({scale.name(tick) for tick in scale.ticks}) == len(scale.ticks)
    assert (scale(scale.low), scale(scale.high)) == pytest.approx((14, 186))


def test_dots_do_not_hide_each_other():
    places = [10.0, 10.5, 11.0, 30.0, 31.0, 80.0]
    offsets = plots.dodge(places, 4)
    for i, (x, y) in enumerate(zip(places, offsets, strict=True)):
        for j in range(i):
            assert ((x - places[j]) ** 2 + (y - offsets[j]) ** 2) ** 0.5 >= 8
    assert offsets[0] == offsets[3] == offsets[5] == 0


def test_many_speakers_fit_in_a_bounded_row():
    rows = [SpeakerRow(f"s{i}", 5, {"CCC": (i % 100) / 100}) for i in range(1200)]
    scale = plots.Scale.around([0.0, 1.0], 600)
    assert plots.row_height(rows, "CCC", scale) < 100
    assert plots.speaker_strip(rows, "CCC", 0.5, scale).count("<circle") == 1200


def test_layers_chosen_by_search_are_called_so():
    fits = [
        Fit(0, str(i), {}, 3, 1.0, 10, [float(layer == chosen) for layer in range(4)], [])
        for i, chosen in enumerate((2, 2, 1))
    ]
    from ser.scoring.report.sections.layers import layer_note

    assert layer_note(fits) == "share of 3 folds that chose the layer"
    assert "largest at layer 2: .667" in plots.layer_bars(fits)
