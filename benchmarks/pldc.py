"""PLDC on a corpus whose speakers' label distributions are planted: what it gains, and what it recovers.

    python benchmarks/pldc.py --work exp/pldc --seeds 0,1,2,3,4 --strengths 0,0.5,1

For every seed a mini corpus of 64 speakers of 8 families is made (24 of them test). Families label the more
narrowly the further their voices are from the usual; no sound depends on how strongly. Then fbank features,
``ser train``, ``ser predict``, and ``ser calibrate`` with k chosen on validation. For each strength:

- the gain in O-CCC and A-CCC, mean over corpora, with two 95 % intervals: Student's over corpora, and of a
  bootstrap over test speakers (drawn within each corpus, 1,000 draws). ``PLDC`` is the gain over the model,
  ``similar`` that over PLDC which borrows from all training speakers: what the choice of similar ones adds;
- what standardisation does without any similarity: how far predictions spread by speaker, and the gain of one
  common factor for all test speakers (``common``) and of a factor each, to one deviation (``each``: --k all);
- sigma_bar against the planted scale, family by family: sigma_bar over the deviation of the training labels
  at strength 0, which is what scale 1 means; beside it the error if the speaker's own family alone lent: that
  of a deviation estimated from so few labels;
- the correlations of feature shift, label shift and CCC over test speakers, by principal components.

Features are standardised by normal scores: some dimensions of fbank hardly vary in training, and by moments
one test utterance would be an outlier of 1,000 deviations. What is there already is used again.
"""

from __future__ import annotations

import argparse
import csv
from functools import partial
from pathlib import Path

import numpy as np
from over_corpora import interval

from ser.cli.main import dispatch
from ser.core import log
from ser.core.columns import align
from ser.downstream.experiment import Experiment
from ser.metrics.continuous import ccc, pcc
from ser.metrics.sums import MomentSums
from ser.personalise.calibration import Calibrated, calibrate_part, choose_k
from ser.personalise.fold import FoldParts, load_data
from ser.personalise.moments import moments
from ser.personalise.pldc import calibrate
from ser.personalise.shift import COMPONENTS, shifts
from ser.scoring.intervals import bootstrap, mean_over_clusters

SHIFTS, SETS = ("sigma", "mu", "both"), ("train", "validation", "test")
DRAWS = 1000
DENSITIES = (COMPONENTS, 50, 20, 10, 5)  # principal components of the feature shift, the default first


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
        alike: Corpus | None = None
        for strength in ["0", *(strength for strength in strengths if strength != "0")]:
            experiment = trained(options.work / f"seed{seed}", seed, strength, options.config, options.nj)
            corpus = Corpus(experiment, options.work / f"seed{seed}" / f"truth_{strength}.csv")
            alike = alike or corpus
            corpus.unit, corpus.alike = alike.unit, alike.own_ccc()
            if strength in found:
                found[strength].append(corpus)
    tables = [gains(found), standardisation(found), recovered(found), correlations(found)]
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
        self.extremity = self.family / self.family.max()
        self.scale = np.array([float(rows[name]["label_scale"]) for name in self.test.speakers])
        self.donor_family = np.array([int(rows[name]["family"]) for name in fold.donors.speakers])
        self.donor_deviation = fold.donors.labels.deviation
        self.train_moments = moments(fold.train.predictions, fold.train.speaker, len(fold.train.speakers))
        self.test_moments = moments(self.labels, self.test.speaker, len(self.test.speakers))
        self.alike = np.empty(0)  # own_ccc at strength 0
        self.calibrated: dict[str, tuple[int, Calibrated]] = {}
        self.by_all: dict[str, Calibrated] = {}
        for shift in SHIFTS:
            k, _ = choose_k(*fold.validation(), fold.donors, shift)
            self.calibrated[shift] = (k, calibrate_part(self.test, fold.donors, k, shift))
            self.by_all[shift] = calibrate_part(self.test, fold.donors, len(fold.donors.speakers), shift)
        self.shifts = {
            components: [
                shifts(fold.train, self.train_labels, self.test, self.labels, column, components)
                for column in range(len(self.attributes))
            ]
            for components in DENSITIES
        }

    def scores(self, predictions: np.ndarray, column: int, counts: np.ndarray) -> np.ndarray:
        """O-CCC and A-CCC ``(d, 2)`` of draws of test speakers ``(d, S)``."""
        size = len(self.test.speakers)
        sums = MomentSums.of(self.labels[:, column], predictions[:, column], self.test.speaker, size)
        return np.stack(
            [sums.weighted(counts).metric("CCC"), mean_over_clusters(sums.metric("CCC"))(counts)], axis=1
        )

    def own_ccc(self) -> np.ndarray:
        """The model's CCC of each test speaker, ``(S, A)``."""
        own = [self.test.speaker == index for index in range(len(self.test.speakers))]
        pairs = list(zip(self.labels.T, self.test.predictions.T, strict=True))
        return np.array([[ccc(label[each], value[each]) for label, value in pairs] for each in own])

    def common(self) -> np.ndarray:
        """Predictions ``(N, A)`` with one factor for all test speakers: that of --k all, on average."""
        outcome = self.by_all["sigma"]
        own = outcome.own
        target = own.deviation * (outcome.deviation_bar.mean(0) / own.deviation.mean(0))
        return calibrate(self.test.predictions, self.test.speaker, own, own.mean, target, "sigma")

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
                         f"{gain[:, place].mean():+.4f}", interval(gain[:, place]),
                         f"[{low[place]:+.4f}, {high[place]:+.4f}]", ks]
                    )  # fmt: skip
    return titled(f"Gains, mean of {len(next(iter(found.values())))} corpora", rows)


def standardisation(found: dict[str, list[Corpus]]) -> str:
    """Deviations of predictions over the labels' usual one, and the gains that know of nobody's voice."""
    names = ("common, O-CCC", "common, A-CCC", "each, O-CCC", "each, A-CCC")
    header = ["strength", "attribute", "training speakers", "test speakers", "labels"]
    rows = [[*header, "levels", "of labels", *names]]
    for strength, corpora in found.items():
        every = np.ones((1, len(corpora[0].test.speakers)))
        for column, attribute in enumerate(corpora[0].attributes):
            spreads, levels, gained = [], [], []
            for corpus in corpora:
                own = (corpus.train_moments, corpus.by_all["sigma"].own, corpus.test_moments)
                by_speaker = [each.deviation[:, column] / corpus.unit[attribute] for each in own]
                spreads.append([[each.mean() for each in by_speaker], [each.std() for each in by_speaker]])
                levels.append([each.mean[:, column].std() / corpus.unit[attribute] for each in own[1:]])
                before = corpus.scores(corpus.test.predictions, column, every)[0]
                after = (corpus.common(), corpus.by_all["sigma"].predictions)
                gained.append([corpus.scores(each, column, every)[0] - before for each in after])
            mean, over_speakers = np.mean(spreads, axis=0)
            cells = [f"{m:.3f} +- {d:.3f}" for m, d in zip(mean, over_speakers, strict=True)]
            cells += [f"{level:.3f}" for level in np.mean(levels, axis=0)]
            for gain in np.array(gained).reshape(len(corpora), -1).T:
                cells.append(f"{gain.mean():+.4f} {interval(gain)}")
            rows.append([strength, attribute, *cells])
    note = "deviations of speakers' predictions, and of test speakers' labels, in units of scale 1 (mean +-\n"
    note += (
        "deviation over speakers); levels: deviation of test speakers' means, of predictions and labels;\n"
    )
    note += "gains over the model by factors that know of nobody's voice"
    return titled("Standardisation", rows, right=2) + f"\n\n{note}"


def recovered(found: dict[str, list[Corpus]]) -> str:
    """sigma_bar, as a multiple of what scale 1 means, against the planted scale; by family."""
    families = sorted(set(next(iter(found.values()))[0].family))
    measures = ("error", "mean |error|", "within 15 %")
    header = ["strength", "attribute", "family", "planted", "sigma_bar", *measures]
    rows = [[*header, "own family", "own alone: error", *measures[1:]]]
    for strength, corpora in found.items():
        for attribute in corpora[0].attributes:
            every = [deviations(corpus, attribute) for corpus in corpora]
            for family in [*families, None]:
                chosen = []
                for corpus, values in zip(corpora, every, strict=True):
                    own = np.full(len(corpus.family), True) if family is None else corpus.family == family
                    chosen.append([corpus.scale[own], *(value[own] for value in values)])
                scale, value, near, alone = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
                rows.append(
                    [strength, attribute, "all" if family is None else str(family),
                     f"{scale.mean():.3f}", f"{value.mean():.3f}", *errors(value, scale),
                     f"{100 * near.mean():.0f} %", *errors(alone, scale)]
                )  # fmt: skip
    note = "own family: share of the neighbours (k of PLDC sigma) who are of the speaker's family;\n"
    note += "own alone: all training speakers of the family lend, and nobody else"
    return titled("sigma_bar against the planted scale, test speakers of all corpora", rows) + f"\n\n{note}"


def errors(value: np.ndarray, scale: np.ndarray) -> list[str]:
    """Mean error and mean absolute error, relative, and the share of speakers with less than 15 %."""
    error = 100 * (value / scale - 1)
    within = 100 * (np.abs(error) < 15).mean()
    return [f"{error.mean():+.1f} %", f"{np.abs(error).mean():.1f} %", f"{within:.0f} %"]


def deviations(corpus: Corpus, attribute: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By test speaker: sigma_bar, share of neighbours of the same family, sigma_bar of that family alone.

    Deviations in units of scale 1; all ``(S,)``.
    """
    outcome = corpus.calibrated["sigma"][1]
    column = corpus.attributes.index(attribute)
    near = corpus.donor_family[outcome.neighbours.index] == corpus.family[:, None]
    alone = [corpus.donor_deviation[corpus.donor_family == family, column].mean() for family in corpus.family]
    unit = corpus.unit[attribute]
    return outcome.deviation_bar[:, column] / unit, near.mean(1), np.array(alone) / unit


def correlations(found: dict[str, list[Corpus]]) -> str:
    """Pearson's correlation over test speakers, mean over corpora with Student's interval."""
    rows = [["strength", "attribute", "components", "pair", "mean r", "over corpora"]]
    for strength, corpora in found.items():
        for column, attribute in enumerate(corpora[0].attributes):
            for components in DENSITIES:
                each = [pairs(corpus, components, column) for corpus in corpora]
                for pair in each[0]:
                    values = np.array([found_there[pair] for found_there in each])
                    if not np.isnan(values).any() and (
                        components == COMPONENTS or pair.startswith("feature")
                    ):
                        words = f"{components:.0%} of variance" if components < 1 else str(components)
                        rows.append(
                            [strength, attribute, words, pair, f"{values.mean():+.3f}", interval(values)]
                        )
    title = (
        "Correlations over test speakers (extremity: planted, of voice at every strength, of labels above 0)"
    )
    return titled(title, rows)


def pairs(corpus: Corpus, components: float, column: int) -> dict[str, float]:
    """The paper's correlations, and those with what is planted.

    ``CCC lost`` is the speaker's CCC at strength 0 less that at this strength: the sound is the same, so that
    what makes one voice harder to understand than another is not in it.
    """
    shift = corpus.shifts[components][column]
    order = [corpus.test.speakers.index(name) for name in shift.speakers]
    extremity, lost = corpus.extremity[order], corpus.alike[order, column] - shift.ccc
    return shift.correlations() | {
        "label shift, extremity": pcc(shift.label, extremity),
        "feature shift, extremity": pcc(shift.feature, extremity),
        "extremity, CCC": pcc(extremity, shift.ccc),
        "label shift, CCC lost": pcc(shift.label, lost),
        "extremity, CCC lost": pcc(extremity, lost),
    }


def titled(title: str, rows: list[list[str]], right: int = 5) -> str:
    """A table for the terminal, the columns from ``right`` on to the right."""
    return "\n".join([title, "", *align(rows, right=range(right, len(rows[0])))])


if __name__ == "__main__":
    main()
