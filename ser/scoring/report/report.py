"""RESULTS.md, scores.jsonl, results.csv, results.tex and report.html, out of nothing but scores.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ser.core import page
from ser.core.files import write_text
from ser.scoring.comparison.positions import KINDS
from ser.scoring.drawing import plots
from ser.scoring.drawing.figures import inline, series_class
from ser.scoring.report.sections import cost
from ser.scoring.report.sections.calibration import calibrations, dumbbells
from ser.scoring.report.sections.details import details
from ser.scoring.report.sections.layers import layer_note, layer_rows, learned_layers
from ser.scoring.report.sections.memory import Comparison, read_comparisons
from ser.scoring.schema import Classification, Grouping, Scores, Value
from ser.scoring.summary import group_notes
from ser.scoring.tables import published
from ser.scoring.tables.formats import latex
from ser.scoring.tables.quoted import read_quotations
from ser.scoring.tables.rows import EMOTION, Benchmark, Row, Source, Table, read_benchmarks
from ser.scoring.tables.sheet import table_sheets
from ser.scoring.tables.table import (
    comma_separated,
    facts,
    footnotes,
    markdown,
    parameters_cell,
    speed_cell,
    terminal,
    training_cell,
)
from ser.scoring.text import counted, shown, with_interval

PACKAGE = __package__
INDUCTIVE = "Inductive: a system hears the utterance alone"
TRANSDUCTIVE = "Transductive: a system also uses the test speaker's other audio, without labels"
FOREST_WIDTH, SPEAKERS_WIDTH = 250, 620


def write_results(
    folders: Sequence[Path | Source],
    out: Path,
    title: str,
    command: str,
    quoted: Sequence[Path] = (),
    comparisons: Sequence[Path] = (),
) -> tuple[str, list[Path]]:
    """Read experiments and write their tables and the report.

    Args:
        folders: experiments with scores.json, or files of scores.
        out: folder to write to.
        title: heading of RESULTS.md and of the report.
        command: what a reader types to make them again.
        quoted: files of published figures to stand under ours (``ser.scoring.tables.quoted``).
        comparisons: folders of ``ser benchmark compare``, for the report's gains by position.

    Returns:
        the tables for the terminal, and the files written.

    Raises:
        UserError: for experiments that are not scored or cannot be compared; nothing is written then.
    """
    benchmarks = read_benchmarks(folders, read_quotations(quoted))
    texts = {
        "RESULTS.md": markdown(benchmarks, title, command),
        published.FILE: published.published_text([e for each in benchmarks for e in each.experiments]),
        "results.csv": comma_separated(benchmarks),
        "results.tex": latex(table_sheets(benchmarks), title, command),
        "report.html": report(benchmarks, title, command, read_comparisons(comparisons)),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return terminal(benchmarks), [out / name for name in texts]


@dataclass(frozen=True)
class Section:
    """All tables of one label, drawn on common axes.

    Attributes:
        tables: of one task.
        forest: axis of the first metric, for its intervals.
        speakers: axis of the speakers' own metric.
    """

    tables: list[Table]
    forest: plots.Scale
    speakers: plots.Scale

    @classmethod
    def of(cls, tables: list[Table]) -> Section:
        """Choose the axes."""
        main = tables[0].metrics[0]
        ends = interval_ends(row.metrics[main] for table in tables for row in table.rows)
        key = speaker_metric(tables[0])
        own = [speaker.metrics[key] for table in tables for row in table.rows for speaker in row.per_speaker]
        known = [value for value in own if value is not None]
        return cls(
            tables,
            plots.Scale.around(ends, FOREST_WIDTH),
            plots.Scale.around([*known, 1.0] if known else [0.0, 1.0], SPEAKERS_WIDTH, ticks=6),
        )

    @property
    def title(self) -> str:
        """The label, and its classes or range."""
        return self.tables[0].label

    @property
    def captions(self) -> list[str]:
        """What each table's systems may hear; nothing where all hear the utterance alone."""
        if not any(table.transductive for table in self.tables):
            return [""] * len(self.tables)
        return [TRANSDUCTIVE if table.transductive else INDUCTIVE for table in self.tables]

    @property
    def rows(self) -> list[Row]:
        """Rows of all tables."""
        return [row for table in self.tables for row in table.rows]

    @property
    def is_emotion(self) -> bool:
        """Whether the label is the emotion class."""
        return self.tables[0].task == EMOTION

    @property
    def by_group(self) -> list[GroupSection]:
        """Results by group of speakers, a part for each grouping."""
        main = self.tables[0].metrics[0]
        names = dict.fromkeys(found.by for row in self.rows for found in row.part.groupings)
        return [GroupSection.of(name, self.rows, main) for name in names]

    @property
    def speaker_names(self) -> list[str]:
        """Every speaker with a scored utterance, in C order."""
        return sorted({speaker.speaker for row in self.rows for speaker in row.per_speaker})


@dataclass(frozen=True)
class GroupSection:
    """Results of several systems by one grouping of speakers.

    Attributes:
        by: ``gender``, ``age``.
        rows: each system with its results.
        forest: axis of the first metric.
        differences: axis of its differences; 0 is on it.
    """

    by: str
    rows: list[tuple[Row, Grouping]]
    forest: plots.Scale
    differences: plots.Scale

    @classmethod
    def of(cls, by: str, rows: Sequence[Row], main: str) -> GroupSection:
        """Choose the axes."""
        found = [(row, grouping) for row in rows for grouping in row.part.groupings if grouping.by == by]
        ends = interval_ends(group.metrics[main] for _, part in found for group in part.groups)
        gaps = interval_ends(pair.metrics[main] for _, part in found for pair in part.differences)
        return cls(
            by, found, plots.Scale.around(ends, FOREST_WIDTH), plots.Scale.around([0.0, *gaps], FOREST_WIDTH)
        )

    @property
    def unit(self) -> str:
        """What the intervals are over; comparable systems have the same."""
        return self.rows[0][1].unit

    @property
    def notes(self) -> list[str]:
        """What to keep in mind, each said once."""
        return list(dict.fromkeys(note for _, part in self.rows for note in group_notes(part)))


def interval_ends(values: Iterable[Value]) -> list[float]:
    """The values and the ends of their intervals, for an axis that holds them all."""
    return [end for value in values for end in (value.low, value.value, value.high) if end is not None]


def speaker_metric(table: Table) -> str:
    """The metric that is shown for each speaker."""
    return "UAR" if table.task == EMOTION else "CCC"


def sections(benchmark: Benchmark) -> list[Section]:
    """The tables of a benchmark by label."""
    tasks = list(dict.fromkeys(table.task for table in benchmark.tables))
    return [Section.of([table for table in benchmark.tables if table.task == task]) for task in tasks]


def report(
    benchmarks: Sequence[Benchmark], title: str, command: str, comparisons: Sequence[Comparison] = ()
) -> str:
    """report.html: style, script and pictures inside; every string of the data escaped.

    A section whose data no experiment has is not there.
    """
    helpers = dict(
        axis=_picture(plots.axis), interval_strip=_picture(plots.interval_strip),
        speaker_strip=_picture(plots.speaker_strip), layer_bars=_picture(plots.layer_bars),
        curves=_picture(plots.curves), row_height=plots.row_height, facts=facts, footnotes=footnotes,
        sections=sections,
        speaker_metric=speaker_metric, speaker_mean=speaker_mean, learned_layers=learned_layers,
        layer_note=layer_note, confusion_rows=confusion_rows, parameters_cell=parameters_cell,
        speed_cell=speed_cell, training_cell=training_cell, shown=shown, with_interval=with_interval,
        counted=counted, row_of=row_of,
        plain_fact=plain_fact, details=details, layer_rows=layer_rows, cost_panels=cost.panels,
        upstreams_of=cost.upstreams_of, series_class=series_class, inline=_picture(inline),
        with_curves=with_curves, kinds=KINDS, calibrations=calibrations, dumbbells=_picture(dumbbells),
    )  # fmt: skip
    return page.render(
        PACKAGE,
        "report.html",
        helpers,
        title=title,
        command=command,
        benchmarks=benchmarks,
        comparisons=comparisons,
        style=page.style(PACKAGE, "report.css"),
        script=Markup(page.resource(PACKAGE, "report.js")),
    )


def speaker_mean(row: Row) -> float | None:
    """Mean over speakers of the metric that is shown for each."""
    key = "UAR" if row.task == EMOTION else "CCC"
    values = [speaker.metrics[key] for speaker in row.per_speaker]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def row_of(scores: Scores) -> Row:
    """An experiment's names, whichever label it has."""
    return Row(scores, EMOTION if scores.classification else next(iter(scores.attributes)))


def with_curves(benchmark: Benchmark) -> list[Scores]:
    """Experiments of which a fold has a learning curve."""
    return [scores for scores in benchmark.experiments if any(fit.curve for fit in scores.fits)]


def confusion_rows(part: Classification) -> list[tuple[str, list[tuple[int, float]]]]:
    """For each class of the reference: its name, then count and share of the row for each prediction."""
    rows = []
    for name, counts in zip(part.classes, part.confusion, strict=True):
        total = sum(counts)
        rows.append((name, [(count, count / total if total else 0.0) for count in counts]))
    return rows


def plain_fact(fact: str) -> str:
    """A fact without Markdown's bold."""
    return fact.replace("**", "")


def _picture(function: Callable[..., str]) -> Callable[..., Markup]:
    """A picture as markup that the template does not escape again; it has escaped its own text."""
    return lambda *arguments: Markup(function(*arguments))
