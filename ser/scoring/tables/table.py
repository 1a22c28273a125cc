"""Tables as Markdown, csv and text for the terminal. Every number comes out of scores.json."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from ser.core.columns import align
from ser.scoring.schema import Attribute
from ser.scoring.summary import interval_notes
from ser.scoring.tables.quoted import DEVIATION, QuotedRow
from ser.scoring.tables.rows import Benchmark, Row, Table
from ser.scoring.text import NOTHING, counted, parameters, shown, with_interval

# Columns that are there where something is quoted.
CSV_QUOTED = ("quoted_from", "quoted_setting")
CSV_HEADER = (
    "corpus", "release", "set", "protocol", "task", "derived", "transductive", "synthetic", "experiment",
    "upstream", "method", "context", "seeds", "metric", "value", "low", "high", "sd_over_speakers",
    "utterances", "clusters", "upstream_parameters", "trained_parameters", "times_real_time",
    "training_seconds", "training_peak_mb",
)  # fmt: skip
NO_CLAIM = (
    "Rows are sorted by the first metric. The order is no claim: systems whose intervals overlap are not told"
    " apart here."
)


def markdown(benchmarks: Sequence[Benchmark], title: str, command: str) -> str:
    """RESULTS.md: the facts, the tables, and the command that makes it; without a date.

    Args:
        benchmarks: what to show.
        title: the first heading.
        command: what a reader types to make the file again.
    """
    block = [f"    {line}" for line in command.splitlines()]
    lines = [
        f"# {title}",
        "",
        "Made by",
        "",
        *block,
        "",
        "Do not edit: every number is read from scores.json.",
    ]
    for benchmark in benchmarks:
        lines += ["", f"## {benchmark.title}", ""]
        lines += [f"- {fact}" for fact in facts(benchmark)]
        for table in benchmark.tables:
            lines += ["", f"### {table.title}", "", *_markdown_table(table)]
        lines += ["", *(f"- {note}" for note in footnotes(benchmark))]
    return "\n".join(lines) + "\n"


def facts(benchmark: Benchmark) -> list[str]:
    """What was scored and how, a sentence each."""
    scores = benchmark.experiments[0]
    data = scores.data
    speech = "**Synthetic speech**, not recordings. " if data.synthetic else ""
    found = [
        f"{speech}Corpus {data.corpus}, release {data.release}, licence {data.licence}; set '{data.set}':"
        f" {counted(data.utterances, 'utterance')} of {counted(data.speakers, 'speaker')}.",
        f"Protocol: {benchmark.protocol}.",
        *interval_notes(benchmark.experiments),
    ]
    for task, part in {table.task: table.rows[0].part for table in benchmark.tables}.items():
        if part.derived:
            found.append(f"The labels of {task} are **derived** from others, not annotated.")
        if part.unlabelled:
            what = counted(part.unlabelled, "utterance")
            found.append(f"{what} without a label of {task}: predicted, not scored.")
    return found


def footnotes(benchmark: Benchmark) -> list[str]:
    """How to read the tables."""
    notes = [NO_CLAIM]
    if any(isinstance(table.rows[0].part, Attribute) for table in benchmark.tables):
        notes.append(
            "O-CCC: one CCC over all utterances. A-CCC: mean of the speakers' own CCC, with its standard"
            " deviation over speakers. MAE: in the label's units."
        )
    layouts = sorted(
        {
            f"{counted(timing.get('jobs') or 1, 'job')}, {counted(timing.get('threads') or 1, 'thread')} each"
            for scores in benchmark.experiments
            if (timing := scores.info.get("timing"))
        }
    )
    speed = f" ({' or '.join(layouts)})" if layouts else ""
    notes.append(
        f"Parameters: of the upstream / trained here. Speed: seconds of audio a second of extraction{speed}."
        " Training: all folds of a seed, and peak memory (on a CPU that of the process, libraries too)."
        " Context: what the upstream saw at once."
    )
    if sources := dict.fromkeys(row.quotation.source for table in benchmark.tables for row in table.quoted):
        notes.append(
            f"Quoted rows are figures printed in {'; '.join(sources)}: not measured here, without"
            " intervals, in the order of the paper, and not ranked among ours."
        )
    return notes


def terminal(benchmarks: Sequence[Benchmark]) -> str:
    """The tables with columns that line up; the first metric with its interval."""
    lines = []
    for benchmark in benchmarks:
        lines += [f"{benchmark.title}: {benchmark.protocol}", *interval_notes(benchmark.experiments)]
        for table in benchmark.tables:
            main, *others = table.metrics
            # The longest cells come last, where a narrow terminal may break them.
            header = [main, *others, "parameters", "speed", "upstream", "method"]
            rows = [header, *(_terminal_row(row, main, others) for row in table.rows)]
            rows += [_terminal_quoted(row, table.metrics) for row in table.quoted]
            lines += ["", table.title, *align(rows, right=range(len(header) - 2), indent="  ")]
        lines.append("")
    return "\n".join(lines).rstrip()


def comma_separated(benchmarks: Sequence[Benchmark]) -> str:
    """results.csv: a line for each experiment and metric, at full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    quotes = any(table.quoted for benchmark in benchmarks for table in benchmark.tables)
    writer.writerow([*CSV_HEADER, *CSV_QUOTED] if quotes else CSV_HEADER)
    for benchmark in benchmarks:
        for table in benchmark.tables:
            for row in table.rows:
                measured = _csv_rows(benchmark, table, row)
                writer.writerows(
                    [[*cells, *("" for _ in CSV_QUOTED)] for cells in measured] if quotes else measured
                )
            for row in table.quoted:
                writer.writerows(_csv_quoted(benchmark, table, row))
    return stream.getvalue()


def metric_cell(row: Row, metric: str) -> str:
    """Value and interval; A-CCC with its deviation over speakers too."""
    text = with_interval(row.metrics[metric], metric)
    part = row.part
    if metric == "A-CCC" and isinstance(part, Attribute) and part.a_ccc_sd is not None:
        text += f" (sd {shown(part.a_ccc_sd)})"
    return text


def speed_cell(row: Row) -> str:
    """``52 ×``."""
    if row.speed is None:
        return NOTHING
    return f"{row.speed:.0f} ×" if row.speed >= 10 else f"{row.speed:.1f} ×"


def training_cell(row: Row) -> str:
    """``7.3 s, 0.6 GB``."""
    if row.training_seconds is None:
        return NOTHING
    seconds = row.training_seconds
    text = f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
    return text if row.training_memory is None else f"{text}, {row.training_memory / 1024:.1f} GB"


def parameters_cell(row: Row) -> str:
    """``20.6 M / 3,598``."""
    return f"{parameters(row.upstream_parameters)} / {parameters(row.trained_parameters)}"


def _markdown_table(table: Table) -> list[str]:
    """A table in GitHub's Markdown; nothing is set in bold, since no row is claimed to be the best."""
    header = [
        "Upstream",
        "Method",
        *table.metrics,
        "Parameters",
        "Speed",
        "Training",
        "Context",
        "Experiment",
    ]
    number = [False, False, *(True for _ in table.metrics), True, True, True, False, False]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("---:" if n else "---" for n in number) + "|"]
    for row in table.rows:
        cells = [
            row.upstream, row.method, *(metric_cell(row, metric) for metric in table.metrics),
            parameters_cell(row), speed_cell(row), training_cell(row), row.context, row.scores.experiment,
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(escaped, cells)) + " |")
    for row in table.quoted:
        cells = [
            row.system.upstream or NOTHING, row.method, *(row.cell(metric) for metric in table.metrics),
            *[NOTHING] * 4, row.quotation.source,
        ]  # fmt: skip
        lines.append(
            "| " + " | ".join(f"*{escaped(cell)}*" if cell != NOTHING else cell for cell in cells) + " |"
        )
    return lines


def escaped(cell: str) -> str:
    """A cell that cannot break out of its table."""
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _terminal_row(row: Row, main: str, others: Sequence[str]) -> list[str]:
    values = [shown(row.metrics[metric].value, metric) for metric in others]
    return [metric_cell(row, main), *values, parameters_cell(row), speed_cell(row), row.upstream, row.method]


def _terminal_quoted(row: QuotedRow, metrics: Sequence[str]) -> list[str]:
    upstream = row.system.upstream or NOTHING
    return [*(row.cell(metric) for metric in metrics), NOTHING, NOTHING, upstream, row.method]


def _csv_rows(benchmark: Benchmark, table: Table, row: Row) -> Iterable[list[object]]:
    """One line a metric; an empty field is unknown or undefined."""
    scores, part = row.scores, row.part
    data = scores.data
    for metric, value in row.metrics.items():
        deviation = part.a_ccc_sd if metric == "A-CCC" and isinstance(part, Attribute) else None
        yield [
            data.corpus, data.release, data.set, benchmark.protocol, table.task, int(part.derived),
            int(row.transductive), int(data.synthetic), scores.experiment, row.upstream, row.method,
            row.context, " ".join(map(str, scores.seeds)), metric, *map(_full, (value.value, value.low)),
            *map(_full, (value.high, deviation)), part.scored, part.clusters, row.upstream_parameters,
            row.trained_parameters, row.speed, row.training_seconds, row.training_memory,
        ]  # fmt: skip


def _csv_quoted(benchmark: Benchmark, table: Table, row: QuotedRow) -> Iterable[list[object]]:
    """One line a published metric; what is only known of measured rows is empty."""
    data = benchmark.experiments[0].data
    for metric in table.metrics:
        if metric in row.scores:
            known = {
                "corpus": data.corpus, "set": data.set, "task": table.task, "upstream": row.system.upstream,
                "transductive": int(row.system.transductive), "method": row.system.system, "metric": metric,
                "value": _full(row.scores[metric]),
                "sd_over_speakers": _full(row.scores.get(DEVIATION) if metric == "A-CCC" else None),
                "quoted_from": row.quotation.source, "quoted_setting": row.quotation.setting,
            }  # fmt: skip
            yield [known.get(name, "") for name in (*CSV_HEADER, *CSV_QUOTED)]


def _full(value: float | None) -> str:
    """Six digits, or nothing."""
    return "" if value is None else f"{value:.6g}"
