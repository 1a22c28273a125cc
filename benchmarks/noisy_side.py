"""Gender and transcripts that are wrong: what conditioning on them is still worth, as a curve.

    python benchmarks/noisy_side.py --work exp/noisy --text-encoder hf:<folder>/all-MiniLM-L6-v2

For every seed a mini corpus is made, in which wording carries valence and pitch is ambiguous between genders
(docs/mini_corpus.md), with fbank features. Then `ser prepare noise` makes side information wrong at a rate:

    gender    the gender of 0 to 50 % of the utterances is the other one (at 50 % it says nothing)
    drop      0 to 90 % of the words of the transcripts are gone
    replace   0 to 90 % of the words are others of the corpus

A model is trained in two ways: on ``clean`` side information and tested on wrong, as where a recogniser or
classifier does worse than in training; and on what is ``alike`` wrong in training, validation
and test. ``plain`` is the same model without side information.

Prints, and writes to noisy_side.tsv, the CCC on the test speakers, mean over corpora, and the gain over
plain with Student's 95 % interval over corpora (of the paired differences); draws the
gains, noisy_side_<attribute>.svg.
What is there already is used again.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from over_corpora import half_width

from ser.cli.main import dispatch
from ser.core import log
from ser.core.columns import align
from ser.core.files import read_yaml, write_text
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.metrics.continuous import ccc
from ser.scoring.drawing.figures import Panel, line, standalone

# What is made wrong: option of 'ser prepare noise' and the rates.
KINDS = {
    "gender": ("--flip-gender", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
    "drop": ("--drop-words", (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)),
    "replace": ("--replace-words", (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)),
}
WORDS = {"gender": "genders flipped", "drop": "words dropped", "replace": "words replaced"}
SETS = ("train", "validation", "test")
HEADER = (
    "wrong", "rate", "trained on", "attribute", "corpora", "CCC", "plain", "gain", "95 % of the gain",
)  # fmt: skip

# (kind, rate, trained on) -> CCC by attribute; (None, 0, plain) is the model without side information.
Scores = dict[tuple[str | None, float, str], dict[str, float]]


def main() -> None:
    """Make, train, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora and experiments")
    parser.add_argument("--text-encoder", help="hf:<folder>; without it genders alone are made wrong")
    parser.add_argument("--config", default="egs/mini/ser1/conf/attributes.yaml", help="of ser train")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="of the corpora")
    parser.add_argument("--trained-on", default="clean,alike", help="of clean, alike")
    parser.add_argument("--prepare-options", default="--speakers 32 --utterances 960 --pitch-ambiguity 1")
    parser.add_argument("--gender-options", default="--gender.fusion concatenate", help="of ser train")
    parser.add_argument("--text-options", default="--text.fusion concatenate", help="of ser train")
    parser.add_argument("--nj", default="1", help="processes that make audio")
    options = parser.parse_args()
    log.setup()
    found = []
    for seed in options.seeds.split(","):
        corpus = Corpus(options.work / f"seed{seed}", options)
        corpus.prepare(seed)
        found.append(corpus.scores())
    rows = table(found)
    write_text(options.work / "noisy_side.tsv", "".join("\t".join(row) + "\n" for row in rows))
    print("\n".join(align(rows, right=(4, 5, 6, 7, 8))))
    for attribute in next(iter(found[0].values())):
        path = options.work / f"noisy_side_{attribute}.svg"
        label = f"gain of CCC of {attribute} where side information is wrong"
        write_text(path, standalone(panels(found, attribute), label, columns=2))
        print(path)


@dataclass
class Corpus:
    """One corpus, and the models on it.

    Args:
        folder: of data, features and experiments.
        options: of the command line.
    """

    folder: Path
    options: argparse.Namespace

    def prepare(self, seed: str) -> None:
        """Audio, data directories and features."""
        if all((self.folder / "feats" / name / "timing.json").is_file() for name in SETS):
            return
        more = shlex.split(self.options.prepare_options)
        dispatch(
            ["prepare", "mini", "--out", str(self.folder), "--dialogues", "0", "--seed", seed,
             "--nj", self.options.nj, *more]
        )  # fmt: skip
        for name in SETS:
            folder = str(self.folder / "feats" / name)
            dispatch(["extract", str(self.folder / name), folder, "--upstream", "fbank"])

    def scores(self) -> Scores:
        """CCC on the test set, of every kind, rate and training."""
        found: Scores = {(None, 0.0, "plain"): self.trained("plain", None, 0.0, [0.0])[0.0]}
        for kind, (_, rates) in KINDS.items():
            if kind != "gender" and self.options.text_encoder is None:
                continue
            if "clean" in self.options.trained_on:
                tested = self.trained(f"{kind}_clean", kind, 0.0, rates)
                found |= {(kind, rate, "clean"): scores for rate, scores in tested.items()}
            if "alike" in self.options.trained_on:
                for rate in rates:
                    tested = self.trained(f"{kind}_alike{name_of(rate)}", kind, rate, [rate])
                    found[kind, rate, "alike"] = tested[rate]
        return found

    def trained(
        self, name: str, kind: str | None, rate: float, tests: tuple[float, ...] | list[float]
    ) -> dict[float, dict[str, float]]:
        """Train at one rate, test at several: rate -> CCC by attribute."""
        exp = self.folder / "exp" / name
        test_dirs = [self.noisy("test", kind, each) for each in tests]
        if not all((exp / "seed0" / "fold0" / each.name / "pred.scp").is_file() for each in test_dirs):
            learnt, validated = (self.noisy(each, kind, rate) for each in ("train", "validation"))
            feats, told = self.folder / "feats", kind is not None and kind != "gender"
            # Normal scores: by moments, one utterance would be an outlier in dimensions that hardly vary.
            command = ["train", "--config", self.options.config, "--model.standardise", "quantile"]
            command += ["--exp", str(exp)]
            command += ["--data", str(learnt), "--feats", str(feats / "train")]
            command += ["--validation-data", str(validated), "--validation-feats", str(feats / "validation")]
            command += [
                "--test-data",
                listed(test_dirs),
                "--test-feats",
                listed([feats / "test"] * len(tests)),
            ]
            if kind is not None:
                command += shlex.split(self.options.text_options if told else self.options.gender_options)
            if told:
                command += ["--text-feats", str(self.text(learnt))]
                command += ["--validation-text-feats", str(self.text(validated))]
                command += ["--test-text-feats", listed([self.text(each) for each in test_dirs])]
            dispatch(command)
            dispatch(["predict", str(exp)])
        return {each: scored(exp, folder) for each, folder in zip(tests, test_dirs, strict=True)}

    def noisy(self, name: str, kind: str | None, rate: float) -> Path:
        """A set's data directory with side information that is wrong at a rate."""
        if kind is None or not rate:
            return self.folder / name
        out = self.folder / "noisy" / f"{name}_{kind}{name_of(rate)}"
        if not out.is_dir():
            option, seed = KINDS[kind][0], str(SETS.index(name))
            dispatch(
                ["prepare", "noise", str(self.folder / name), str(out), option, f"{rate}", "--seed", seed]
            )
        return out

    def text(self, data: Path) -> Path:
        """Embeddings of a data directory's transcripts."""
        out = self.folder / "text" / data.name
        dispatch(["text", str(data), "--encoder", self.options.text_encoder, "--out", str(out)])
        return out


def name_of(rate: float) -> str:
    """A rate in per cent."""
    return f"{100 * rate:.0f}"


def listed(paths: list[Path]) -> str:
    """Paths as an option's list."""
    return "[" + ",".join(map(str, paths)) + "]"


def scored(exp: Path, data_dir: Path) -> dict[str, float]:
    """CCC by attribute of an experiment's predictions of a test set."""
    folder, data = exp / "seed0" / "fold0" / data_dir.name, DataDir.load(data_dir)
    found, columns = dict(ArkReader(folder / "pred.scp")), read_yaml(folder / "columns.yaml")
    scores = {}
    for place, name in enumerate(columns["attributes"], start=len(columns["classes"])):
        labels = data.attribute(name)
        pairs = np.array([(labels[utterance], value[place]) for utterance, value in found.items()])
        scores[name] = ccc(pairs[:, 0], pairs[:, 1])
    return scores


def table(found: list[Scores]) -> list[tuple[str, ...]]:
    """A row for each kind, rate, training and attribute; ``found`` has one entry a corpus."""
    rows: list[tuple[str, ...]] = [HEADER]
    for kind, rate, trained in found[0]:
        for attribute in found[0][kind, rate, trained]:
            values = np.array([scores[kind, rate, trained][attribute] for scores in found])
            plain = np.array([scores[None, 0.0, "plain"][attribute] for scores in found])
            gain, half = values - plain, half_width(values - plain)
            interval = "-" if np.isnan(half) else f"[{gain.mean() - half:+.3f}, {gain.mean() + half:+.3f}]"
            numbers = f"{values.mean():.3f}", f"{plain.mean():.3f}", f"{gain.mean():+.3f}", interval
            wrong = WORDS[kind] if kind else "nothing told"
            rows.append((wrong, f"{name_of(rate)} %", trained, attribute, str(len(found)), *numbers))
    return rows


def panels(found: list[Scores], attribute: str) -> list[Panel]:
    """A panel for each kind and training: the gain over plain with Student's band over corpora."""
    plain = np.array([scores[None, 0.0, "plain"][attribute] for scores in found])
    drawn = []
    for kind, trained in dict.fromkeys((k, t) for k, _, t in found[0] if k is not None):
        points = []
        for rate in KINDS[kind][1]:
            gain = np.array([scores[kind, rate, trained][attribute] for scores in found]) - plain
            half = np.nan_to_num(half_width(gain))
            points.append((name_of(rate), gain.mean(), gain.mean() - half, gain.mean() + half))
        note = {"clean": "trained on right ones", "alike": "trained on ones as wrong"}[trained]
        title = f"{attribute.capitalize()}, {WORDS[kind]}"
        drawn.append(line(title, note, f"% of {WORDS[kind]}", "gain of CCC", points, [0.0] * len(points)))
    return drawn


if __name__ == "__main__":
    main()
