"""Scored experiments as the rows of tables: read, checked to be comparable, grouped, sorted.

A table holds one corpus, set and protocol, one kind of label, and either systems that hear nothing
but the utterance or systems that use the test speaker's other audio: never both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.scoring.predictions import named
from ser.scoring.schema import (
    ATTRIBUTE_METRICS,
    CLASS_METRICS,
    EMOTION,
    Attribute,
    Classification,
    Scores,
    SpeakerRow,
    Value,
)
from ser.scoring.tables.quoted import Quotation, QuotedRow, quoted_rows
from ser.scoring.text import counted

logger = get_logger(__name__)

# Words of the options in info.yaml that say that a test speaker's other audio was looked at.
TRANSDUCTIVE_WORDS = ("transductive", "per-speaker standardisation")
CONTEXTS = {"length": "utterance"}
# In info.yaml's content of a row that was handed in: its scores were not made here.
ADDED = "added"


@dataclass(frozen=True)
class Source:
    """Where a row is read from.

    Attributes:
        path: an experiment's folder, or a scores.json.
        name: what it is to be called, instead of the experiment's name.
        added: whether it is a colleague's file, of something that was not run here.
    """

    path: Path
    name: str = ""
    added: bool = False


@dataclass(frozen=True)
class Row:
    """A system in a table.

    Attributes:
        scores: everything that is known of it.
        task: ``emotion`` or an attribute.
    """

    scores: Scores
    task: str

    @property
    def added(self) -> bool:
        """Whether it was not run here."""
        return bool(self.scores.info.get(ADDED))

    @property
    def part(self) -> Classification | Attribute:
        """The scores of this table's label."""
        part = self.scores.classification if self.task == EMOTION else self.scores.attributes[self.task]
        assert part is not None  # a row is made only where there are scores
        return part

    @property
    def metrics(self) -> dict[str, Value]:
        """Metrics by name; the first is the one that sorts."""
        return self.part.metrics

    @property
    def per_speaker(self) -> list[SpeakerRow]:
        """The speakers' own metrics."""
        return self.part.per_speaker

    @property
    def upstream(self) -> str:
        """The upstream's short name."""
        meta = self.scores.info.get("upstream") or {}
        return str(meta.get("tag") or meta.get("upstream") or "unknown")

    @property
    def method(self) -> str:
        """The system's name and its notable options, as info.yaml has them, and its seeds."""
        words = [str(self.scores.info.get("name") or self.scores.experiment)]
        words += map(str, self.scores.info.get("options") or [])
        if len(self.scores.seeds) > 1:
            words.append(f"mean of {counted(len(self.scores.seeds), 'seed')}")
        if self.added:
            words.append("scores handed in, not run here")
        return "; ".join(words)

    @property
    def upstream_parameters(self) -> int | None:
        """Parameters of the upstream."""
        return (self.scores.info.get("upstream") or {}).get("parameters")

    @property
    def trained_parameters(self) -> int | None:
        """Parameters that training changed; the largest where folds chose different models."""
        return max((fit.trained_parameters for fit in self.scores.fits), default=None)

    @property
    def training_seconds(self) -> float | None:
        """What training all folds of a seed took, the mean over seeds."""
        fits = self.scores.fits
        return sum(fit.seconds for fit in fits) / len({fit.seed for fit in fits}) if fits else None

    @property
    def training_memory(self) -> float | None:
        """Peak memory of training in MiB, the most of any fold."""
        known = [fit.peak_memory_mb for fit in self.scores.fits if fit.peak_memory_mb is not None]
        return max(known, default=None)

    @property
    def speed(self) -> float | None:
        """Extraction speed: seconds of audio a second."""
        return (self.scores.info.get("timing") or {}).get("times_real_time")

    @property
    def context(self) -> str:
        """What the upstream saw at once: the utterance, or a padded window."""
        context = (self.scores.info.get("upstream") or {}).get("context")
        return CONTEXTS.get(context, str(context or "unknown"))

    @property
    def transductive(self) -> bool:
        """Whether it uses the test speaker's other audio."""
        options = self.scores.info.get("options") or []
        return bool(self.scores.info.get("transductive")) or any(
            word in str(option) for option in options for word in TRANSDUCTIVE_WORDS
        )


@dataclass(frozen=True)
class Table:
    """Comparable rows, best first.

    Attributes:
        task: ``emotion`` or an attribute.
        transductive: whether the systems use the test speaker's other audio.
        rows: not empty.
        quoted: published rows, in the order of their papers; never sorted among ``rows``.
    """

    task: str
    transductive: bool
    rows: list[Row]
    quoted: list[QuotedRow] = field(default_factory=list)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics; the first is the one that sorts."""
        return CLASS_METRICS if self.task == EMOTION else ATTRIBUTE_METRICS

    @property
    def title(self) -> str:
        """The label, and whether the systems are transductive."""
        special = ", with the test speaker's other audio (transductive)" if self.transductive else ""
        return self.label + special

    @property
    def label(self) -> str:
        """``Emotion, 7 classes`` or ``Naturalness, 0 to 100``; whether derived."""
        part = self.rows[0].part
        if isinstance(part, Classification):
            words = ["Emotion", f"{len(part.classes)} classes"]
        else:
            words = [self.task[:1].upper() + self.task[1:], f"{part.range[0]:g} to {part.range[1]:g}"]
        if part.derived:
            words.append("derived labels")
        return ", ".join(words)


@dataclass(frozen=True)
class Benchmark:
    """Tables over the same utterances, with the same protocol.

    Attributes:
        experiments: their scores, in the order of their names.
        tables: emotion first, then attributes; inductive before transductive.
    """

    experiments: list[Scores]
    tables: list[Table]

    @property
    def title(self) -> str:
        """Corpus, release and set."""
        data = self.experiments[0].data
        suffix = "" if data.set == "test" else f", {data.set}"
        return f"{data.corpus} {data.release}{suffix}"

    @property
    def protocol(self) -> str:
        """In words, from info.yaml."""
        return protocol_of(self.experiments[0])


def read_benchmarks(
    folders: Sequence[Path | Source], quotations: Sequence[Quotation] = ()
) -> list[Benchmark]:
    """Read scores.json and scores_<set>.json of experiments, and group what can be compared.

    Args:
        folders: experiments, or files of scores.
        quotations: published rows to stand under them.

    Raises:
        UserError: for an experiment that is not scored, and for experiments of one corpus, set and
            protocol that were scored on other utterances, labels or draws.
    """
    if not folders:
        raise UserError("no experiments", hint="Name their folders: ser benchmark table exp/*")
    experiments = []
    for source in sorted(
        {each if isinstance(each, Source) else Source(each) for each in folders},
        key=lambda source: (source.path, source.name),
    ):
        for scores in read_scores(source.path):
            scores.experiment = source.name or scores.experiment
            if source.added:
                scores.info = scores.info | {ADDED: True}
            experiments.append(scores)
    if not experiments:
        raise UserError("nothing scored: these experiments hold submissions only", value=str(folders[0]))
    return benchmarks_of(experiments, quotations)


def benchmarks_of(experiments: Sequence[Scores], quotations: Sequence[Quotation] = ()) -> list[Benchmark]:
    """Group scored experiments that can be compared.

    Args:
        experiments: their scores.
        quotations: published rows to stand under them.

    Raises:
        UserError: as ``read_benchmarks``.
    """
    groups: dict[tuple[str, ...], list[Scores]] = {}
    for scores in experiments:
        data = scores.data
        key = (data.corpus, data.release, data.set, protocol_of(scores))
        groups.setdefault(key, []).append(scores)
    for group in groups.values():
        for other in group[1:]:
            check_comparable(group[0], other)
    benchmarks = [make_benchmark(groups[key], quotations) for key in sorted(groups)]
    tables = [table for benchmark in benchmarks for table in benchmark.tables]
    placed = {id(row.system) for table in tables for row in table.quoted}
    for quotation in quotations:
        for row in quotation.rows:
            if id(row) not in placed:
                logger.warning("quoted row '%s' of %s has no measured row of its kind to stand under",
                            row.system, quotation.source)  # fmt: skip
    return benchmarks


def read_scores(folder: Path) -> list[Scores]:
    """All scores of one experiment, or those of one file.

    Raises:
        UserError: when there are none, with the stage that is missing.
    """
    if folder.is_file():
        return [Scores.read(folder)]
    if not folder.is_dir():
        raise UserError("no such experiment", file=folder)
    files = sorted(folder.glob("scores.json")) + sorted(folder.glob("scores_*.json"))
    if not files and not list(folder.glob("submission_*.csv")):
        predicted = any(folder.glob("seed*/fold*/*/pred.scp"))
        missing = "12 (ser score)" if predicted else "9 (ser predict) and 12 (ser score)"
        raise UserError("experiment without scores.json", file=folder, hint=f"Run stage {missing}")
    return [Scores.read(file) for file in files]


def protocol_of(scores: Scores) -> str:
    """The protocol in words, from info.yaml."""
    return str(scores.info.get("protocol") or "protocol unknown")


def check_comparable(one: Scores, other: Scores) -> None:
    """Refuse to set two experiments side by side that were not scored on the same.

    Raises:
        UserError: naming both, and what differs.
    """
    hint = "Run 'ser score' for both on the same data directory, with the same draws and seed"
    pair = f"{one.experiment} and {other.experiment}"
    ours, theirs = one.utterances, other.utterances
    if ours.ids != theirs.ids:
        differing = sorted(set(ours.ids) ^ set(theirs.ids))
        raise UserError(f"{pair} were scored on other utterances: {named(differing)}", hint=hint)
    same_classes = not one.classification or not other.classification or ours.reference == theirs.reference
    shared = set(ours.attributes) & set(theirs.attributes)
    if not same_classes or any(ours.attributes[name] != theirs.attributes[name] for name in shared):
        raise UserError(f"{pair} were scored against other labels", hint=hint)
    if one.bootstrap != other.bootstrap:
        raise UserError(f"{pair} have intervals from other draws", hint=hint)


def make_benchmark(group: list[Scores], quotations: Sequence[Quotation] = ()) -> Benchmark:
    """Sort comparable experiments into tables, with what was published under them."""
    quoted = quoted_rows(quotations, group[0].data.corpus, group[0].data.set)
    group = sorted(group, key=lambda scores: scores.experiment)
    tasks = [EMOTION] if any(scores.classification for scores in group) else []
    tasks += dict.fromkeys(name for scores in group for name in scores.attributes)
    tables = []
    for task in tasks:
        rows = [
            Row(scores, task) for scores in group
            if (scores.classification if task == EMOTION else task in scores.attributes)
        ]  # fmt: skip
        for transductive in (False, True):
            kept = [row for row in rows if row.transductive == transductive]
            if kept:
                own = [row for row in quoted if (row.task, row.system.transductive) == (task, transductive)]
                tables.append(Table(task, transductive, sorted(kept, key=_place), own))
    return Benchmark(group, tables)


def _place(row: Row) -> tuple[float, str]:
    """Best first, undefined last, ties by name."""
    main = next(iter(row.metrics.values())).value
    return (float("inf") if main is None else -main, row.scores.experiment)
