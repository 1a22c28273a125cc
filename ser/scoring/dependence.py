"""The curve of speaker-dependent against speaker-independent training: A-CCC with intervals, and a picture.

dependence.tsv -> dependence_summary.tsv, dependence_<attribute>.svg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ser.core.columns import align
from ser.core.files import whole_file, write_text
from ser.scoring.drawing.figures import line, standalone
from ser.scoring.intervals import bootstrap, mean_over_clusters, percentile_interval
from ser.scoring.personalisation import read_tsv
from ser.scoring.text import shown

TABLE, SUMMARY = "dependence.tsv", "dependence_summary.tsv"
CONDITIONS = ("dependent", "independent")
HEADER = ("attribute", "speakers", "tested", *CONDITIONS, "difference", "low", "high")


def summarise_dependence(folder: Path, draws: int = 1000, seed: int = 0) -> tuple[str, list[Path]]:
    """A-CCC by number of training speakers, and the gap's interval.

    A speaker's CCC is the mean over the divisions in which the speaker was tested; A-CCC is the mean over
    speakers. The interval is of a bootstrap over them: the difference is of the same speakers and utterances.

    Args:
        folder: with dependence.tsv.
        draws: of the bootstrap.
        seed: of the draws.

    Returns:
        The table for the terminal, and the files written.
    """
    found: dict[tuple[str, int], dict[str, list[tuple[float, float]]]] = {}
    for row in read_tsv(folder / TABLE):
        pair = (float(row["dependent"]), float(row["independent"]))
        key = (row["attribute"], int(row["speakers"]))
        found.setdefault(key, {}).setdefault(row["speaker"], []).append(pair)
    lines: list[tuple[str, int, int, list[float]]] = []
    for (attribute, count), speakers in sorted(found.items()):
        values = np.array([np.mean(pairs, axis=0) for pairs in speakers.values()])
        gap = values[:, 0] - values[:, 1]
        statistic = mean_over_clusters(gap)
        interval = percentile_interval(bootstrap(statistic, len(gap), draws, seed), len(gap))
        low = gap.mean() if interval.low is None else interval.low
        high = gap.mean() if interval.high is None else interval.high
        lines.append((attribute, count, len(gap), [*values.mean(0), gap.mean(), low, high]))
    files = [folder / SUMMARY]
    with whole_file(folder / SUMMARY) as stream:
        stream.write("\t".join(HEADER) + "\n")
        for attribute, count, tested, numbers in lines:
            stream.write(
                "\t".join([attribute, str(count), str(tested), *(f"{v:.6f}" for v in numbers)]) + "\n"
            )
    for attribute in dict.fromkeys(each[0] for each in lines):
        own = [each for each in lines if each[0] == attribute]
        levels = [(str(count), numbers[0], numbers[0], numbers[0]) for _, count, _, numbers in own]
        gaps = [(str(count), *numbers[2:]) for _, count, _, numbers in own]
        panels = [
            line(
                f"A-CCC, {attribute}", "solid: speaker-dependent; dashed: independent", "training speakers",
                "A-CCC", levels, [numbers[1] for *_, numbers in own],
            ),
            line(
                "dependent less independent", "band: 95 % over speakers", "training speakers", "difference",
                gaps, [0.0] * len(gaps),
            ),
        ]  # fmt: skip
        files.append(folder / f"dependence_{attribute}.svg")
        write_text(
            files[-1], standalone(panels, f"Speaker-dependent against -independent training, {attribute}")
        )
    rows = [[each[0], str(each[1]), str(each[2]), *map(shown, each[3])] for each in lines]
    return "\n".join(align([list(HEADER), *rows], right=range(1, len(HEADER)))), files
