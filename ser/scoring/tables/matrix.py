"""Training corpora by test corpora: one table a label, from the scores.json of every pair."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.core.files import write_text
from ser.scoring.cross import CROSS, mapping_notes
from ser.scoring.schema import Classification, Scores
from ser.scoring.summary import interval_notes
from ser.scoring.tables.rows import EMOTION, Row
from ser.scoring.text import NOTHING, with_interval

CSV_HEADER = (
    "task", "trained_on", "tested_on", "release", "set", "within", "experiment", "upstream", "classes",
    "metric", "value", "low", "high", "utterances", "clusters",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A model on a test set."""

    scores: Scores

    @property
    def within(self) -> bool:
        """Whether it was tested on the corpus that it was trained on."""
        return CROSS not in self.scores.info

    @property
    def trained_on(self) -> str:
        """The training corpus."""
        return str(self.scores.info.get("corpus"))

    @property
    def tested_on(self) -> str:
        """The test corpus, and the set where it is one of several."""
        data = self.scores.data
        return data.corpus if data.set in ("all", "test") else f"{data.corpus} {data.set}"

    def row(self, task: str) -> Row | None:
        """Its scores of a label, None where it has none."""
        found = self.scores.classification if task == EMOTION else self.scores.attributes.get(task)
        return None if found is None else Row(self.scores, task)

    def text(self, task: str) -> str:
        """``.415 [.377, .455]; 4 classes, n = 339``, with ``within`` where the corpus is the same."""
        row = self.row(task)
        if row is None:
            return f"{NOTHING} (nothing shared)"
        part = row.part
        words = [f"{len(part.classes)} classes"] if isinstance(part, Classification) else []
        words += [f"n = {part.scored:,}", *(["**within**"] if self.within else [])]
        return f"{with_interval(next(iter(row.metrics.values())))}; {', '.join(words)}"


def write_matrix(files: Sequence[Path], out: Path, title: str, command: str) -> tuple[str, list[Path]]:
    """Read scores.json files and write RESULTS.md and results.csv.

    Args:
        files: of experiments within their corpus, and of ``ser score --model``.
        out: folder to write to.
        title: heading.
        command: what a reader types to make them again.

    Returns:
        RESULTS.md's text, and the files written.

    Raises:
        UserError: for two scores of one cell, or other draws in one than in another.
    """
    cells = read_cells(files)
    text = markdown(cells, title, command)
    write_text(out / "RESULTS.md", text)
    write_text(out / "results.csv", comma_separated(cells))
    return text, [out / "RESULTS.md", out / "results.csv"]


def read_cells(files: Sequence[Path]) -> dict[tuple[str, str], Cell]:
    """(training corpus, test corpus) -> scores, in the order of the names.

    Raises:
        UserError: for two scores of one cell, and for scores with other draws than the first.
    """
    cells: dict[tuple[str, str], Cell] = {}
    where: dict[tuple[str, str], Path] = {}
    for file in files:
        cell = Cell(Scores.read(file))
        key = (cell.trained_on, cell.tested_on)
        if key in cells:
            raise UserError(
                f"trained on {key[0]} and tested on {key[1]}, as {where[key]}", file=file,
                hint="Give one experiment for each training corpus",
            )  # fmt: skip
        cells[key], where[key] = cell, file
    if not cells:
        raise UserError("no scores", hint="Name scores.json files: exp/*/cross/*/*/scores.json")
    first = next(iter(cells.values())).scores.bootstrap
    for key, cell in cells.items():
        if cell.scores.bootstrap != first:
            hint = "Run 'ser score' for all with the same draws and seed"
            raise UserError("intervals from other draws than in the first file", file=where[key], hint=hint)
    return dict(sorted(cells.items()))


def tasks_of(cells: dict[tuple[str, str], Cell]) -> list[str]:
    """Emotion, then attributes, of those that any cell has."""
    tasks = [EMOTION] if any(cell.scores.classification for cell in cells.values()) else []
    return tasks + list(dict.fromkeys(name for cell in cells.values() for name in cell.scores.attributes))


def markdown(cells: dict[tuple[str, str], Cell], title: str, command: str) -> str:
    """RESULTS.md: a table a label, how to read it, what was mapped in each cell; without a date."""
    rows, columns = (list(dict.fromkeys(key[place] for key in cells)) for place in (0, 1))
    columns.sort()
    lines = [f"# {title}", "", "Made by", "", *(f"    {line}" for line in command.splitlines())]
    lines += [
        "",
        "Do not edit: every number is read from scores.json.",
        "",
        *(f"- {f}" for f in facts(cells)),
    ]
    for task in tasks_of(cells):
        lines += ["", "## UAR" if task == EMOTION else f"## O-CCC, {task}", ""]
        lines.append("| trained on, tested on: | " + " | ".join(columns) + " |")
        lines.append("|---|" + "---|" * len(columns))
        for row in rows:
            shown = [cells[row, name].text(task) if (row, name) in cells else NOTHING for name in columns]
            lines.append(f"| {row} | " + " | ".join(shown) + " |")
    others = {key: cell for key, cell in cells.items() if not cell.within}
    lines += ["", "## What was mapped", ""]
    lines += [f"- {one} on {two}: {' '.join(mapping_notes(c.scores))}" for (one, two), c in others.items()]
    return "\n".join(lines) + "\n"


def facts(cells: dict[tuple[str, str], Cell]) -> list[str]:
    """How the tables were made and are to be read, a sentence each."""
    every = [cell.scores for cell in cells.values()]
    systems = sorted({f"{Row(scores, '').upstream}: {Row(scores, '').method}" for scores in every})
    synthetic = sorted({scores.data.corpus for scores in every if scores.data.synthetic})
    found = [f"{', '.join(synthetic)}: **synthetic speech**, not recordings."] if synthetic else []
    return [
        *found,
        f"System: {' / '.join(systems)}.",
        "**within**: the recipe's own score, by its own protocol, over all classes of the corpus. Elsewhere:"
        " the mean of the folds' models on another corpus, over the classes that both have."
        " n: utterances scored.",
        "Cells with other classes are not to be compared; chance is 1 / classes.",
        "Nothing is fitted to a test corpus: names of classes are mapped by a file, predictions of attributes"
        " moved linearly from one corpus's range to the other's.",
        *interval_notes(every),
    ]


def comma_separated(cells: dict[tuple[str, str], Cell]) -> str:
    """results.csv: a line for each cell, label and metric; an empty field is undefined."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for cell in cells.values():
        data = cell.scores.data
        for task in tasks_of(cells):
            if (row := cell.row(task)) is None:
                continue
            classes = " ".join(row.part.classes) if isinstance(row.part, Classification) else ""
            for metric, value in row.metrics.items():
                numbers = (
                    "" if each is None else f"{each:.6g}" for each in (value.value, value.low, value.high)
                )
                writer.writerow(
                    [
                        task, cell.trained_on, data.corpus, data.release, data.set, int(cell.within),
                        cell.scores.experiment, row.upstream, classes, metric, *numbers,
                        row.part.scored, row.part.clusters,
                    ]
                )  # fmt: skip
    return stream.getvalue()
