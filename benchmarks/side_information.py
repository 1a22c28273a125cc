"""What words and gender add where they are planted, at several strengths, and where nothing is planted.

    python benchmarks/side_information.py --work exp/side --encoder hf:<folder of all-MiniLM-L6-v2> \\
        --seeds 0,1,2,3,4 --strengths 0,0.5,1 --emodb <folder of EmoDB>

Three questions, each with one system more than the model that hears audio alone (fbank, one linear head):

- text: the mini corpus whose wording follows the planted valence as far as ``--wording`` says. Valence.
- gender: the mini corpus in which genders share voices and differ in vocal effort as far as
  ``--pitch-ambiguity`` says. Arousal; told the true gender, and a classifier's guess.
- emodb: ten fixed sentences, real speech; ten folds by speaker. Classes, by UAR; text, and true gender.

Gain = with less without, of the same corpus, seed and protocol; mean over corpora (EmoDB: over seeds of the
training). Two 95 % intervals: Student's over corpora, with the p of the paired t-test; and of a paired
bootstrap over test speakers (drawn within each corpus, 1,000 draws, alike for both systems). What is there
already is used again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from over_corpora import interval, p_of_zero

from ser.cli.main import dispatch
from ser.core import log
from ser.core.columns import align
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.metrics.sums import ConfusionSums, MomentSums
from ser.scoring.intervals import bootstrap

SETS = ("train", "validation", "test")
DRAWS = 1000
TEXT = ["--text.fusion", "concatenate"]
GENDER = ["--gender.fusion", "concatenate"]
PREDICTED = [*GENDER, "--gender.source", "predicted"]
EMODB_CONFIG = "egs/emodb/ser1/conf/emotion.yaml"


@dataclass(frozen=True)
class Question:
    """One planted effect on the mini corpus.

    Args:
        option: of ``ser prepare mini``, its strength.
        attribute: what is scored.
        systems: name -> further options of ``ser train``.
    """

    option: str
    attribute: str
    systems: dict[str, list[str]] = field(default_factory=dict)


QUESTIONS = {
    "text": Question("--wording", "valence", {"text": TEXT}),
    "gender": Question("--pitch-ambiguity", "arousal", {"gender": GENDER, "predicted gender": PREDICTED}),
}


def main() -> None:
    """Make, train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora and experiments")
    parser.add_argument("--encoder", required=True, help="text encoder, hf:<folder or hub name>")
    parser.add_argument("--questions", default="text,gender", help="of text, gender")
    parser.add_argument("--config", default="egs/mini/ser1/conf/attributes.yaml", help="of ser train")
    parser.add_argument("--emodb", help="folder of EmoDB; left out without it")
    parser.add_argument("--emodb-config", default=EMODB_CONFIG)
    parser.add_argument("--seeds", default="0,1,2,3,4", help="of the corpora; on EmoDB, of the training")
    parser.add_argument("--strengths", default="0,0.5,1")
    parser.add_argument("--speakers", default="40", help="of a corpus; a quarter are test speakers")
    parser.add_argument("--utterances", default="1200", help="of a corpus")
    parser.add_argument("--nj", default="1", help="processes that make audio")
    options = parser.parse_args()
    log.setup()
    rows: list[list[str]] = []
    for question in filter(None, options.questions.split(",")):
        for strength in options.strengths.split(","):
            rows += mini_rows(question, strength, options)
    if options.emodb:
        rows += emodb_rows(options)
    header = [
        "question",
        "strength",
        "told",
        "score",
        "without",
        "gain",
        "over corpora",
        "p",
        "over speakers",
    ]
    print("\n".join(align([header, *rows], right=range(4, len(header)))))


def mini_rows(name: str, strength: str, options: argparse.Namespace) -> list[list[str]]:
    """A row a system of one question at one strength."""
    question, scores = QUESTIONS[name], []
    for seed in options.seeds.split(","):
        folder = options.work / f"{name}_{strength}_seed{seed}"
        experiments = mini_experiments(folder, question, strength, seed, options)
        scores.append(
            {told: attribute_sums(exp, folder, question.attribute) for told, exp in experiments.items()}
        )
    metric = partial(drawn, name="CCC")
    return [
        row([name, strength, told, f"{question.attribute} CCC"], scores, told, metric)
        for told in question.systems
    ]


def mini_experiments(
    folder: Path, question: Question, strength: str, seed: str, options: argparse.Namespace
) -> dict[str, Path]:
    """Predicted experiments of one corpus: ``audio`` alone, and each system."""
    feats = folder / "feats"
    if not (folder / "test" / "wav.scp").is_file():
        dispatch(
            ["prepare", "mini", "--out", str(folder), "--speakers", options.speakers, "--dialogues", "0",
             "--utterances", options.utterances, "--seed", seed, question.option, strength,
             "--nj", options.nj]
        )  # fmt: skip
    for each in SETS:
        make_features(folder / each, feats, options.encoder)
    found = {}
    for told, more in {"audio": [], **question.systems}.items():
        exp = folder / "exp" / told.replace(" ", "_")
        if not (exp / "seed0" / "fold0" / "test" / "pred.scp").is_file():
            sources = [
                "--data", str(folder / "train"), "--feats", str(feats / "fbank" / "train"),
                "--validation-data", str(folder / "validation"),
                "--validation-feats", str(feats / "fbank" / "validation"),
                "--test-data", f"[{folder / 'test'}]", "--test-feats", f"[{feats / 'fbank' / 'test'}]",
                "--text-feats", str(feats / "text" / "train"),
                "--validation-text-feats", str(feats / "text" / "validation"),
                "--test-text-feats", f"[{feats / 'text' / 'test'}]",
            ]  # fmt: skip
            # Normal scores: by moments, one utterance would be an outlier in dimensions that hardly vary.
            how = ["--config", options.config, "--model.standardise", "quantile", "--exp", str(exp)]
            dispatch(["train", *how, *sources, *more])
            dispatch(["predict", str(exp)])
        found[told] = exp
    return found


def make_features(data: Path, feats: Path, encoder: str) -> None:
    """Features of audio and of text, where they are not there."""
    if not (feats / "fbank" / data.name / "meta.yaml").is_file():
        dispatch(["extract", str(data), str(feats / "fbank" / data.name), "--upstream", "fbank"])
    dispatch(
        [
            "text",
            str(data),
            "--encoder",
            encoder,
            "--normalise",
            "true",
            "--out",
            str(feats / "text" / data.name),
        ]
    )


def attribute_sums(exp: Path, folder: Path, attribute: str) -> MomentSums:
    """Moments of truth and prediction by test speaker."""
    data = DataDir.load(folder / "test")
    column = ["arousal", "valence"].index(attribute)
    found = ArkReader(exp / "seed0" / "fold0" / "test" / "pred.scp")
    truth, speakers = data.attribute(attribute), sorted(set(data.utt2spk.values()))
    names = [name for name in data.utterances if name in truth]
    place = np.array([speakers.index(data.utt2spk[name]) for name in names])
    values = np.array([found[name][column] for name in names], dtype=float)
    return MomentSums.of(np.array([truth[name] for name in names]), values, place, len(speakers))


def emodb_rows(options: argparse.Namespace) -> list[list[str]]:
    """Rows of EmoDB: nothing is planted, and all speakers say the same ten sentences."""
    folder = options.work / "emodb"
    data, feats = folder / "all", folder / "feats"
    if not (data / "wav.scp").is_file():
        dispatch(["prepare", "emodb", "--db-root", str(options.emodb), "--out", str(folder)])
    make_features(data, feats, options.encoder)
    loaded = DataDir.load(data)
    systems, scores = {"text": TEXT, "gender": GENDER}, []
    for seed in options.seeds.split(","):
        sums = {}
        for told, more in {"audio": [], **systems}.items():
            exp = folder / "exp" / told
            train = [
                "train",
                "--config",
                options.emodb_config,
                "--exp",
                str(exp),
                "--seed",
                seed,
                "--data",
                str(data),
            ]
            dispatch(
                [
                    *train,
                    "--feats",
                    str(feats / "fbank" / "all"),
                    "--text-feats",
                    str(feats / "text" / "all"),
                    *more,
                ]
            )
            dispatch(["predict", str(exp)])
            sums[told] = class_sums(exp / f"seed{seed}", loaded)
        scores.append(sums)
    return [row(["emodb", "-", told, "UAR"], scores, told, partial(drawn, name="UAR")) for told in systems]


def class_sums(seed: Path, data: DataDir) -> ConfusionSums:
    """Confusions by speaker, pooled over folds."""
    speakers, classes = sorted(set(data.utt2spk.values())), data.labels.classes
    found = {
        name: scores
        for scp in sorted(seed.glob("fold*/test/pred.scp"))
        for name, scores in ArkReader(scp).items()
    }
    label, names = data.classes_of(), sorted(found)
    truth = np.array([classes.index(label[name]) for name in names])
    guess = np.array([int(found[name][: len(classes)].argmax()) for name in names])
    place = np.array([speakers.index(data.utt2spk[name]) for name in names])
    return ConfusionSums.of(truth, guess, place, num_classes=len(classes), num_clusters=len(speakers))


def drawn(sums: MomentSums | ConfusionSums, counts: np.ndarray, name: str) -> np.ndarray:
    """A metric of draws of test speakers ``(d, S)``: ``(d,)``."""
    return sums.weighted(counts).metric(name)


def row(head: list[str], scores: Sequence[dict], told: str, metric: partial) -> list[str]:
    """Mean score without, mean gain, both intervals and the p of the paired t-test over corpora."""

    def gain(sums: dict, counts: np.ndarray) -> np.ndarray:
        return metric(sums[told], counts) - metric(sums["audio"], counts)

    sizes = [len(sums["audio"].table) for sums in scores]
    ones = [np.ones((1, size)) for size in sizes]
    without = np.mean([metric(sums["audio"], each)[0] for sums, each in zip(scores, ones, strict=True)])
    gains = np.array([gain(sums, each)[0] for sums, each in zip(scores, ones, strict=True)])
    draws = [
        bootstrap(partial(gain, sums), size, DRAWS, number)
        for number, (sums, size) in enumerate(zip(scores, sizes, strict=True))
    ]
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    over_speakers = f"[{low:+.4f}, {high:+.4f}]"
    return [*head, f"{without:.3f}", f"{gains.mean():+.4f}", interval(gains), p_of_zero(gains), over_speakers]


if __name__ == "__main__":
    main()
