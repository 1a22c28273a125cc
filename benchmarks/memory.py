"""What a memory of the dialogue adds where the label can be known only from it, and where nothing is planted.

    python benchmarks/memory.py --work exp/memory --seeds 0,1,2,3,4 --strengths 0,0.5,1

The mini corpus's dialogues: a speaker's range is drawn anew in each, and half of the turns are *ambiguous*:
they sound alike whatever their label, and only the speaker's earlier turns tell it (docs/mini_corpus.md).
Systems hear one vector an utterance (fbank, mean and deviation) and differ in what reaches it:

- utterance: nothing, a linear head; probe: nothing, a hidden layer of 64. At chance on ambiguous turns.
- memory: the neural memory, state by speaker; mean, gru, concatenated: at most as many parameters.
- memory, one state: the same with one state for the dialogue; at the greatest strength alone.
- memory, reads off / another dialogue's history: the checkpoint of ``memory``, changed at test time.

Accuracy on the ambiguous turns of dialogues and speakers that were not trained on. Gain = with less
``utterance``. Mean over corpora, with Student's 95 % interval over corpora and the p of the paired t-test;
and a percentile interval of a paired bootstrap over test dialogues (drawn within each corpus, 1,000 draws).
Then accuracy by the speaker's own turn in the dialogue. What is there already is used again.
"""

from __future__ import annotations

import argparse
import csv
from functools import partial
from pathlib import Path

import numpy as np
from over_corpora import interval, p_of_zero

from ser.cli.main import dispatch
from ser.core import log
from ser.core.columns import align
from ser.core.files import read_json
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.metrics.sums import ConfusionSums
from ser.scoring.intervals import bootstrap

DRAWS = 1000
SETS = ("train", "validation", "test")
# The most epochs, and a learning rate at which all of them have converged on validation dialogues. So were
# the memory's sizes and rates chosen, for tokens that are whole utterances: docs/memory.md.
TRAINING = ["--optimizer.epochs", "40", "--optimizer.lr", "0.003", "--optimizer.truncation", "0"]
TRAINING += ["--optimizer.dialogues", "16"]
MEMORY = ["--history.kind", "memory", "--memory.width", "64", "--memory.depth", "1", "--memory.kernel", "1"]
MEMORY += ["--memory.step", "0.3", "--memory.momentum", "0.5"]
ONE_STATE = "memory, one state"
SYSTEMS = {
    "utterance": ["--history.kind", "none"],
    "probe": ["--history.kind", "none", "--head.hidden", "64"],
    "memory": MEMORY,
    ONE_STATE: [*MEMORY, "--history.scope", "dialogue"],
    "mean": ["--history.kind", "mean"],
    "gru": ["--history.kind", "gru"],
    "concatenated": ["--history.kind", "concatenated"],
}
MATCHED = ("mean", "gru", "concatenated")
ABLATED = {"memory, reads off": "no_reads", "memory, another dialogue's history": "other_dialogue"}


def main() -> None:
    """Make, train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora and experiments")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="of the corpora")
    parser.add_argument("--strengths", default="0,0.5,1")
    parser.add_argument("--speakers", default="60", help="of a corpus; a quarter are test speakers")
    parser.add_argument("--dialogues", default="240", help="of a corpus")
    parser.add_argument("--turns", default="24", help="of a dialogue")
    parser.add_argument("--nj", default="1", help="processes that make audio")
    options = parser.parse_args()
    log.setup()
    rows, positions = [], []
    for strength in options.strengths.split(","):
        found = [corpus(seed, strength, options) for seed in options.seeds.split(",")]
        for name in found[0]:
            rows.append(
                row(strength, name, [each[name] for each in found], [each["utterance"] for each in found])
            )
            positions.append([strength, name, *by_turn([each[name] for each in found])])
    header = ["strength", "system", "parameters", "accuracy", "gain", "over corpora", "p", "over dialogues"]
    print("\n".join(align([header, *rows], right=range(2, len(header)))))
    turns = [str(turn + 1) for turn in range(len(positions[0]) - 2)]
    print("\nAccuracy on ambiguous turns by the speaker's own turn in the dialogue\n")
    print("\n".join(align([["strength", "system", *turns], *positions], right=range(2, len(turns) + 2))))


class Found:
    """A system's predictions of a corpus's ambiguous test turns.

    Args:
        right: whether each is right, ``(n,)``.
        dialogue: number of its dialogue, ``(n,)``.
        turn: number of its speaker's own turn in the dialogue, from 0, ``(n,)``.
        truth: class of each, ``(n,)``.
        guess: the same, predicted.
        parameters: of what was trained for the history.
    """

    def __init__(self, exp: Path, data: DataDir) -> None:
        classes, label = data.labels.classes, data.classes_of()
        scores = ArkReader(exp / "seed0" / "fold0" / "test" / "pred.scp")
        own = own_turns(data)
        names = [name for name in data.utterances if data.tables["utt2ambiguous"][name] == "1"]
        dialogues = sorted(set(data.tables["utt2dialogue"].values()))
        self.truth = np.array([classes.index(label[name]) for name in names])
        self.guess = np.array([int(scores[name][: len(classes)].argmax()) for name in names])
        self.right = self.truth == self.guess
        self.dialogue = np.array([dialogues.index(data.tables["utt2dialogue"][name]) for name in names])
        self.turn = np.array([own[name] for name in names])
        self.parameters = read_json(exp / "seed0" / "fold0" / "fit.json")["history_parameters"]
        self.sums = ConfusionSums.of(
            self.truth, self.guess, self.dialogue, num_classes=len(classes), num_clusters=len(dialogues)
        )


def own_turns(data: DataDir) -> dict[str, int]:
    """Utterance -> how often its speaker has spoken in the dialogue before."""
    spoken: dict[tuple[str, str], int] = {}
    found = {}
    for name in sorted(data.utterances, key=lambda name: int(data.tables["utt2turn"][name])):
        who = data.tables["utt2dialogue"][name], data.utt2spk[name]
        found[name] = spoken.get(who, 0)
        spoken[who] = found[name] + 1
    return found


def corpus(seed: str, strength: str, options: argparse.Namespace) -> dict[str, Found]:
    """What every system predicts on one corpus."""
    folder = options.work / f"seed{seed}_strength{float(strength):g}"
    make_corpus(folder, seed, strength, options)
    experiments, test = {}, DataDir.load(folder / "sets" / "test")
    strongest = max(map(float, options.strengths.split(",")))
    for name, how in SYSTEMS.items():
        if name == ONE_STATE and float(strength) < strongest:
            continue
        exp = folder / "exp" / name.replace(", ", "_").replace(" ", "_")
        if name in MATCHED:
            memory = read_json(experiments["memory"] / "seed0" / "fold0" / "fit.json")
            how = [*how, "--history.parameters", str(memory["history_parameters"])]
        if not (exp / "seed0" / "fold0" / "test" / "pred.scp").is_file():
            train(folder, exp, how)
        experiments[name] = exp
    for name, ablation in ABLATED.items():
        exp = folder / "exp" / f"memory-{ablation}"
        if not (exp / "seed0" / "fold0" / "test" / "pred.scp").is_file():
            dispatch(["memory-predict", str(experiments["memory"]), "--ablate", ablation, "--into", str(exp)])
        experiments[name] = exp
    return {name: Found(exp, test) for name, exp in experiments.items()}


def make_corpus(folder: Path, seed: str, strength: str, options: argparse.Namespace) -> None:
    """Dialogues, their features, and sets by speaker, where they are not there."""
    data, feats = folder / "data", folder / "feats" / "dialogues"
    if not (data / "dialogues" / "wav.scp").is_file():
        dispatch(
            ["prepare", "mini", "--out", str(data), "--speakers", options.speakers, "--utterances",
             options.speakers, "--dialogues", options.dialogues, "--turns", options.turns, "--seed", seed,
             "--strength", strength, "--nj", options.nj]
        )  # fmt: skip
    if not (feats / "meta.yaml").is_file():
        dispatch(["extract", str(data / "dialogues"), str(feats), "--upstream", "fbank"])
    whole = DataDir.load(data / "dialogues")
    with open(data / "truth" / "dialogues.csv", encoding="utf-8", newline="") as stream:
        truth = {row["utterance"]: row for row in csv.DictReader(stream)}
    whole.tables["utt2ambiguous"] = {name: truth[name]["true_ambiguous"] for name in whole.utterances}
    for part in SETS:
        whole.subset([n for n in whole.utterances if truth[n]["set"] == part]).write(folder / "sets" / part)


def train(folder: Path, exp: Path, how: list[str]) -> None:
    """Train and predict one system."""
    sets, feats = folder / "sets", str(folder / "feats" / "dialogues")
    dispatch(
        ["memory-train", "--exp", str(exp), "--data", str(sets / "train"), "--feats", feats,
         "--validation-data", str(sets / "validation"), "--validation-feats", feats,
         "--test-data", f"[{sets / 'test'}]", "--test-feats", f"[{feats}]", *TRAINING, *how]
    )  # fmt: skip
    dispatch(["memory-predict", str(exp)])


def accuracy(sums: ConfusionSums, counts: np.ndarray) -> np.ndarray:
    """Accuracy of draws of dialogues ``(d, S)``: ``(d,)``."""
    return sums.weighted(counts).metric("WA")


def row(strength: str, name: str, found: list[Found], without: list[Found]) -> list[str]:
    """Mean accuracy, mean gain over ``utterance``, its intervals and p."""
    gains = np.array(
        [one.right.mean() - other.right.mean() for one, other in zip(found, without, strict=True)]
    )
    head = [strength, name, str(found[0].parameters), f"{np.mean([each.right.mean() for each in found]):.3f}"]
    if name == "utterance":
        return [*head, "", "", "", ""]

    def gain(one: Found, other: Found, counts: np.ndarray) -> np.ndarray:
        return accuracy(one.sums, counts) - accuracy(other.sums, counts)

    draws = [
        bootstrap(partial(gain, one, other), len(one.sums.table), DRAWS, number)
        for number, (one, other) in enumerate(zip(found, without, strict=True))
    ]
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    over_dialogues = f"[{low:+.3f}, {high:+.3f}]"
    return [*head, f"{gains.mean():+.3f}", interval(gains, 3), p_of_zero(gains), over_dialogues]


def by_turn(found: list[Found]) -> list[str]:
    """Accuracy at each of the speaker's own turns, all corpora together."""
    right = np.concatenate([each.right for each in found])
    turn = np.concatenate([each.turn for each in found])
    return [f"{right[turn == number].mean():.2f}" for number in range(turn.max() + 1)]


if __name__ == "__main__":
    main()
