"""PLDC on a corpus whose speakers' label distributions are planted: what it gains, and what it recovers.

    python benchmarks/pldc.py --work exp/pldc --seeds 0,1,2,3,4 --strengths 0,0.5,1

For every seed a mini corpus of 64 speakers of 8 families is made (24 of them test). Families label the more
narrowly the further their voices are from the usual; no sound depends on how strongly. Then fbank features,
``ser train``, ``ser predict``, and ``ser calibrate`` with k chosen on validation. For each strength:

- the gain in O-CCC and A-CCC, mean over corpora, with two 95 % intervals: Student's over corpora, and of a
  bootstrap over test speakers (drawn within each corpus, 1,000 draws). ``PLDC`` is the gain over the model,
  ``similar`` that over PLDC which borrows from all training speakers: what the choice of similar ones adds;
- sigma_bar against the planted scale, family by family: sigma_bar over the deviation of the training labels
  at strength 0, which is what scale 1 means;
- the correlations of feature shift, label shift and CCC over test speakers.

Features are standardised by normal scores: some dimensions of fbank hardly vary in training, and by moments
one test utterance would be an outlier of 1,000 deviations. What is there already is used again.
"""

from __future__ import annotations

import argparse
import csv
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from ser.cli.main import dispatch
from ser.core import log
from ser.core.columns import align
from ser.core.files import read_json
from ser.downstream.experiment import Experiment
from ser.metrics.continuous import pcc
from ser.metrics.sums import MomentSums
from ser.personalise.calibration import Calibrated, calibrate_part, choose_k
from ser.personalise.fold import FoldParts, load_data
from ser.personalise.shift import shifts
from ser.scoring.intervals import bootstrap, mean_over_clusters

SHIFTS, SETS = ("sigma", "mu", "both"), ("train", "validation", "test")
DRAWS = 1000


def main() -> None:
    """Make, train, calibrate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora and experiments")
    parser.add_argument("--config", default="egs/mini/ser1/conf/attributes.yaml", help="of ser train")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="of the corpora")
    parser.add_argument("--strengths", default="0,0.5,1", help="of the families' label distributions")
    parser.add_argument("--nj", default="1", help="processes that make audio")
    options = parser.parse_args()
    log.setup()
    seeds, strengths = options.seeds.split(","), options.strengths.split(",")
    found: dict[str, list[Corpus]] = {strength: [] for strength in strengths}
    for seed in seeds:
        unit: dict[str, float] = {}
        for strength in ["0", *(strength for strength in strengths if strength != "0")]:
            experiment = trained(options.work / f"seed{seed}", seed, strength, options.config, options.nj)
            corpus = Corpus(experiment, options.work / f"seed{seed}" / f"truth_{strength}.csv")
            unit = unit or corpus.unit
            corpus.unit = unit
            if strength in found:
                found[strength].append(corpus)
    tables = [gains(found), recovered(found), correlations(found)]
    print("\n\n".join(tables))


def trained(folder: Path, seed: str, strength: str, config: str, nj: str) -> Experiment:
    """The experiment of one corpus and strength, predicted; audio and features are those of all strengths."""
    exp = folder / "exp" / f"strength{strength}"
    done = exp / "seed0" / "fold0" / "test" / "pred.scp"
    if not done.is_file() or not (folder / f"truth_{strength}.csv").is_file():
        dispatch(
            ["prepare", "mini", "--out", str(folder), "--speakers", "64", "--families", "8", "--nj", nj,
             "--utterances", "1920", "--dialogues", "0", "--shift", strength, "--seed", seed]
        )  # fmt: skip
        # Each strength has data directories of its own, so that later strengths change none of its labels.
        data, feats = folder / f"data{strength}", folder / "feats" / "fbank"
        for name in SETS:
            dispatch(["prepare", "copy", str(folder / name), str(data / name)])
            if not (feats / name / "meta.yaml").is_file():
                dispatch(["extract", str(folder / name), str(feats / name), "--upstream", "fbank"])
        dispatch(
            ["train", "--config", config, "--data", str(data / "train"), "--feats", str(feats / "train"),
             "--validation-data", str(data / "validation"), "--validation-feats", str(feats / "validation"),
             "--test-data", f"[{data / 'test'}]", "--test-feats", f"[{feats / 'test'}]", "--exp", str(exp),
             "--model.standardise", "quantile"]
        )  # fmt: skip
        dispatch(["predict", str(exp), "--parts", "[train,validation,test]"])
        (folder / f"truth_{strength}.csv").write_text((folder / "truth" / "speakers.csv").read_text())
    return Experiment(exp)


class Corpus:
    """One trained corpus, calibrated in every way.

    Args:
        experiment: trained and predicted.
        truth: speakers.csv of the corpus.
    """

    def __init__(self, experiment: Experiment, truth: Path) -> None:
        fold = FoldParts.read(experiment.fold_dirs()[0], load_data(experiment))
        self.test = fold.part("test")
        self.labels = fold.labels("test", self.test)
        self.train_labels = fold.train_labels()
        self.attributes = self.test.attributes
        self.unit = dict(zip(self.attributes, self.train_labels.std(0), strict=True))
        with truth.open() as stream:
            rows = {row["name"]: row for row in csv.DictReader(stream)}
        self.family = np.array([int(rows[name]["family"]) for name in self.test.speakers])
        self.scale = np.array([float(rows[name]["label_scale"]) for name in self.test.speakers])
        self.donor_family = np.array([int(rows[name]["family"]) for name in fold.donors.speakers])
        self.validation_metric = read_json(fold.folder / "fit.json")["validation_metric"]
        self.calibrated: dict[str, tuple[int, Calibrated]] = {}
        self.by_all: dict[str, Calibrated] = {}
        for shift in SHIFTS:
            k, _ = choose_k(*fold.validation(), fold.donors, shift)
            self.calibrated[shift] = (k, calibrate_part(self.test, fold.donors, k, shift))
            self.by_all[shift] = calibrate_part(self.test, fold.donors, len(fold.donors.speakers), shift)
        self.shifts = [
            shifts(fold.train, self.train_labels, self.test, self.labels, column)
            for column in range(len(self.attributes))
        ]

    def scores(self, predictions: np.ndarray, column: int, counts: np.ndarray) -> np.ndarray:
        """O-CCC and A-CCC ``(d, 2)`` of draws of test speakers ``(d, S)``."""
        size = len(self.test.speakers)
        sums = MomentSums.of(self.labels[:, column], predictions[:, column], self.test.speaker, size)
        return np.stack(
            [sums.weighted(counts).metric("CCC"), mean_over_clusters(sums.metric("CCC"))(counts)], axis=1
        )

    def gain(self, shift: str, column: int, over: str, counts: np.ndarray) -> np.ndarray:
        """After PLDC less before, or less PLDC by all training speakers, ``(d, 2)``."""
        after = self.scores(self.calibrated[shift][1].predictions, column, counts)
        other = self.test.predictions if over == "PLDC" else self.by_all[shift].predictions
        return after - self.scores(other, column, counts)


def gains(found: dict[str, list[Corpus]]) -> str:
    """The table of gains."""
    header = ["strength", "attribute", "moment", "metric", "gain of", "before", "gain", "over corpora"]
    rows = [[*header, "over speakers", "k"]]
    for strength, corpora in found.items():
        every = np.ones((1, len(corpora[0].test.speakers)))
        for column, attribute in enumerate(corpora[0].attributes):
            for shift, over in ((shift, over) for shift in SHIFTS for over in ("PLDC", "similar")):
                ks = " ".join(str(corpus.calibrated[shift][0]) for corpus in corpora)
                gain = np.stack([corpus.gain(shift, column, over, every)[0] for corpus in corpora])
                after = [
                    corpus.scores(corpus.calibrated[shift][1].predictions, column, every)[0]
                    for corpus in corpora
                ]
                before = np.mean(after, axis=0) - gain.mean(0)
                drawn = np.mean(
                    [
                        bootstrap(partial(corpus.gain, shift, column, over), every.shape[1], DRAWS, number)
                        for number, corpus in enumerate(corpora)
                    ],
                    axis=0,
                )
                low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
                for place, metric in enumerate(("O-CCC", "A-CCC")):
                    rows.append(
                        [strength, attribute, shift, metric, over, f"{before[place]:.3f}",
                         f"{gain[:, place].mean():+.4f}", over_corpora(gain[:, place]),
                         f"[{low[place]:+.4f}, {high[place]:+.4f}]", ks]
                    )  # fmt: skip
    return titled(f"Gains, mean of {len(next(iter(found.values())))} corpora", rows)


def recovered(found: dict[str, list[Corpus]]) -> str:
    """sigma_bar, as a multiple of what scale 1 means, against the planted scale; by family."""
    families = sorted(set(next(iter(found.values()))[0].family))
    rows = [
        ["strength", "attribute", "family", "planted", "sigma_bar", "error", "mean |error|", "own family"]
    ]
    for strength, corpora in found.items():
        for attribute in corpora[0].attributes:
            every = [deviations(corpus, attribute) for corpus in corpora]
            for family in [*families, None]:
                chosen = [
                    (values[own], corpus.scale[own], near[own])
                    for corpus, (values, near) in zip(corpora, every, strict=True)
                    for own in [corpus.family == family if family is not None else slice(None)]
                ]
                value, scale, near = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
                error = value / scale - 1
                rows.append(
                    [strength, attribute, "all" if family is None else str(family),
                     f"{scale.mean():.3f}", f"{value.mean():.3f}", f"{100 * error.mean():+.1f} %",
                     f"{100 * np.abs(error).mean():.1f} %", f"{100 * near.mean():.0f} %"]
                )  # fmt: skip
    note = "own family: share of the neighbours (k of PLDC sigma) who are of the speaker's family"
    return titled("sigma_bar against the planted scale, test speakers of all corpora", rows) + f"\n\n{note}"


def deviations(corpus: Corpus, attribute: str) -> tuple[np.ndarray, np.ndarray]:
    """sigma_bar in units of scale 1 ``(S,)``, and the share of neighbours of the same family ``(S,)``."""
    outcome = corpus.calibrated["sigma"][1]
    column = corpus.attributes.index(attribute)
    near = corpus.donor_family[outcome.neighbours.index] == corpus.family[:, None]
    return outcome.deviation_bar[:, column] / corpus.unit[attribute], near.mean(1)


def correlations(found: dict[str, list[Corpus]]) -> str:
    """Pearson's correlation over test speakers, mean over corpora with Student's interval."""
    rows = [["strength", "attribute", "pair", "mean r", "over corpora"]]
    for strength, corpora in found.items():
        for column, attribute in enumerate(corpora[0].attributes):
            pairs: dict[str, list[float]] = {}
            for corpus in corpora:
                shift = corpus.shifts[column]
                planted = [corpus.scale[corpus.test.speakers.index(name)] for name in shift.speakers]
                extreme = -np.log(planted)
                values = shift.correlations() | {
                    "label shift, planted": pcc(shift.label, extreme),
                    "feature shift, planted": pcc(shift.feature, extreme),
                    "planted, CCC": pcc(extreme, shift.ccc),
                }
                for pair, value in values.items():
                    pairs.setdefault(pair, []).append(value)
            for pair, values in pairs.items():
                if not np.isnan(values).any():
                    rows.append(
                        [strength, attribute, pair, f"{np.mean(values):+.3f}", over_corpora(np.array(values))]
                    )
    return titled("Correlations over test speakers (planted: -log of the label's scale)", rows)


def over_corpora(values: np.ndarray) -> str:
    """Student's 95 % interval of the mean of ``(n,)``."""
    if len(values) < 2:
        return "-"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"[{values.mean() - half:+.4f}, {values.mean() + half:+.4f}]"


def titled(title: str, rows: list[list[str]]) -> str:
    """A table for the terminal."""
    return "\n".join([title, "", *align(rows, right=range(5, len(rows[0])))])


if __name__ == "__main__":
    main()
