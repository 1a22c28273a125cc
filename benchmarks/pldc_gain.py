"""What PLDC gains on an experiment, and how much of it comes from similar voices: paired, over test speakers.

    python benchmarks/pldc_gain.py exp/fbank_naturalness exp/papt_naturalness --k 3

The experiment has been predicted with ``--parts [train,validation,test]``. For each moment: the gain in O-CCC
and A-CCC over the model (``PLDC``), and over PLDC that borrows from all training speakers (``similar``):
``--k all`` knows of nobody's voice and only standardises. Intervals: 95 %, percentile bootstrap over test
speakers, the same draws for both sides. Folds are put together before anything is scored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ser.core import log
from ser.core.columns import align
from ser.downstream.experiment import Experiment
from ser.metrics.sums import MomentSums
from ser.personalise.calibration import calibrate_part, choose_k
from ser.personalise.fold import FoldParts, load_data
from ser.scoring.intervals import bootstrap, mean_over_clusters

SHIFTS = ("sigma", "mu", "both")


def main() -> None:
    """Calibrate in every way, and print a line a gain."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("experiments", type=Path, nargs="+", help="exp/<tag>")
    parser.add_argument(
        "--k", type=int, help="how many training speakers lend; chosen on validation by default"
    )
    parser.add_argument("--part", default="test", help="folder of the predictions")
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    options = parser.parse_args()
    log.setup()
    rows = [["experiment", "attribute", "moment", "gain of", "O-CCC", "", "A-CCC", ""]]
    for path in options.experiments:
        rows += gains(Experiment(path), options.part, options.k, options.draws)
    print("\n".join(align(rows, right=range(4, 8))))


def gains(experiment: Experiment, part: str, k: int | None, draws: int) -> list[list[str]]:
    """The lines of an experiment's first seed."""
    found: dict[str, list[np.ndarray]] = {}
    labels, speakers, attributes = [], [], []
    data = load_data(experiment)
    for folder in experiment.fold_dirs():
        fold = FoldParts.read(folder, data)
        test, attributes = fold.part(part), fold.part(part).attributes
        labels.append(fold.labels(part, test))
        speakers += [test.speakers[index] for index in test.speaker]
        found.setdefault("model", []).append(test.predictions)
        for shift in SHIFTS:
            chosen = k or choose_k(*fold.validation(), fold.donors, shift)[0]
            for name, number in (("similar", chosen), ("all", len(fold.donors.speakers))):
                outcome = calibrate_part(test, fold.donors, number, shift)
                found.setdefault(f"{shift} {name}", []).append(outcome.predictions)
    systems = {name: np.concatenate(parts) for name, parts in found.items()}
    target, names = np.concatenate(labels), sorted(set(speakers))
    speaker = np.array([names.index(name) for name in speakers])
    rows = []
    for column, attribute in enumerate(attributes):

        def scores(system: str, counts: np.ndarray, column: int = column) -> np.ndarray:
            sums = MomentSums.of(target[:, column], systems[system][:, column], speaker, len(names))
            a_ccc = mean_over_clusters(sums.metric("CCC"))(counts)
            return np.stack([sums.weighted(counts).metric("CCC"), a_ccc], axis=1)

        for shift in SHIFTS:
            for what, other in (("PLDC", "model"), ("similar", f"{shift} all")):

                def gain(
                    counts: np.ndarray, after: str = f"{shift} similar", other: str = other
                ) -> np.ndarray:
                    return scores(after, counts) - scores(other, counts)

                value = gain(np.ones((1, len(names))))[0]
                low, high = np.nanpercentile(bootstrap(gain, len(names), draws, 0), [2.5, 97.5], axis=0)
                shown = [
                    (f"{v:+.3f}", f"[{a:+.3f}, {b:+.3f}]") for v, a, b in zip(value, low, high, strict=True)
                ]
                rows.append([experiment.path.name, attribute, shift, what, *shown[0], *shown[1]])
    return rows


if __name__ == "__main__":
    main()
