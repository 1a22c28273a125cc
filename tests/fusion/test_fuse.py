"""Fusion of whole experiments: by name, never by place, and scored like any other."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_yaml
from ser.data.arks import ArkReader, ArkWriter
from ser.data.datadir import DataDir
from ser.downstream.config import ModelConfig, OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.fusion.experiment import FusionConfig, fuse_experiments
from ser.fusion.report import warn_of_overfitting
from ser.fusion.weigh import EMOTION, Task, Weighed, cross_validated, weigh
from ser.metrics import categorical
from ser.metrics.continuous import ccc
from ser.scoring.score import score_experiment
from tests.downstream.corpus import CLASSES, make_set

QUICK = OptimizerConfig(lr=0.02, epochs=4)
BOTH = TaskConfig(attributes=["arousal"])


def train(folder: Path, sources: Sources, layer: int, task: TaskConfig = BOTH, seeds=(0,)) -> Path:
    """An experiment on one layer; 1 carries the labels, 0 and 2 do not."""
    experiment = Experiment(folder)
    for seed in seeds:
        train_experiment(TrainConfig(task=task, model=ModelConfig(layer=layer), optimizer=QUICK), sources,
                         experiment, seed)  # fmt: skip
    predict_experiment(experiment)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Four speakers, each tested once."""
    return Sources(*make_set(tmp_path_factory.mktemp("corpus"), "all", list("abcd"), folds=True))


@pytest.fixture(scope="module")
def members(corpus: Sources, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A member that knows, one that guesses, and another that guesses."""
    folder = tmp_path_factory.mktemp("exp")
    return [
        train(folder / name, corpus, layer, seeds=(0, 1))
        for name, layer in (("knows", 1), ("a", 0), ("b", 2))
    ]


@pytest.fixture
def copies(members: list[Path], tmp_path: Path) -> list[Path]:
    """The first two, to be spoilt."""
    return [Path(shutil.copytree(path, tmp_path / path.name)) for path in members[:2]]


def predictions(path: Path, part: str = "test") -> dict[str, np.ndarray]:
    found = {}
    for scp in sorted(path.glob(f"seed0/fold*/{part}/pred.scp")):
        found.update(ArkReader(scp))
    return found


def test_weights_find_the_member_that_knows(corpus, members, tmp_path, capsys) -> None:
    dispatch(["fuse", *map(str, members), "--out", str(tmp_path / "fused"), "--metric", "UAR"])
    said = capsys.readouterr().out
    assert "other speakers" in said and said.rstrip().endswith("fused")
    rows = [line.split("\t") for line in (tmp_path / "fused" / "weights.tsv").read_text().splitlines()]
    assert len(rows) == 1 + 2 * 4 * 2 * (3 + 2)  # seeds, folds, tasks; members, mean, fusion
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    for first in range(0, len(table), 5):
        own, mean, fused = table[first : first + 3], table[first + 3], table[first + 4]
        assert sum(float(row["weight"]) for row in own) == pytest.approx(1, abs=2e-4)
        assert all(float(fused["validation"]) >= float(row["validation"]) for row in [*own, mean])
        assert mean["system"] == "(mean)" and fused["system"] == "(fusion)"
        assert int(fused["speakers"]) >= 1
    of_attributes = [row for row in table if row["task"] == "attributes"]
    assert np.mean([float(r["weight"]) for r in of_attributes if r["system"] == "knows"]) > 0.6
    # What weights.tsv says of validation is what the predictions say.
    fold = members[0] / "seed0" / "folda" / "validation"
    data, found = DataDir.load(corpus.data), dict(ArkReader(fold / "pred.scp"))
    truth = np.array([CLASSES.index(data.classes_of()[u]) for u in found])
    guess = np.array([value[:3].argmax() for value in found.values()])
    knows = next(r for r in table if (r["fold"], r["system"]) == ("seed0/folda", "knows"))
    uar = categorical.uar(categorical.confusion(truth, guess, 3))
    assert float(knows["validation"]) == pytest.approx(uar, abs=1e-4)
    arousal = data.attribute("arousal")
    knows = next(r for r in of_attributes if (r["fold"], r["system"]) == ("seed0/folda", "knows"))
    expected = ccc(np.array([arousal[u] for u in found]), np.array([v[3] for v in found.values()]))
    assert float(knows["validation"]) == pytest.approx(expected, abs=1e-4)


def test_a_fusion_is_scored_and_stands_in_the_table(corpus, members, tmp_path, capsys) -> None:
    out = Experiment(tmp_path / "fused")
    fuse_experiments(members, out, FusionConfig())
    for path in (*members, out.path):
        outcome = score_experiment(path, corpus.data, draws=10)
        assert outcome.scores is not None
    assert (out.path / "scores.json").is_file() and (out.path / "README.md").is_file()
    dispatch(["benchmark", "table", *map(str, [*members, out.path]), "--out", str(tmp_path / "table")])
    text = (tmp_path / "table" / "RESULTS.md").read_text()
    assert "fusion of 3, weights by validation macro-F1 and mean CCC" in text
    info = read_yaml(out.path / "info.yaml")
    assert info["transductive"] is False and info["upstream"]["tag"] == "toy"
    fits = [read_json(path / "seed1" / "folda" / "fit.json") for path in (*members, out.path)]
    assert fits[-1]["trained_parameters"] == sum(fit["trained_parameters"] for fit in fits[:-1]) + 4
    with pytest.raises(UserError, match="no model"):
        dispatch(["predict", str(out.path)])


def test_the_mean_is_the_mean_and_alone_it_is_the_member(corpus, members, tmp_path) -> None:
    fuse_experiments(members, Experiment(tmp_path / "mean"), FusionConfig(rule="mean"))
    found, parts = predictions(tmp_path / "mean"), [predictions(path) for path in members]
    assert sorted(found) == DataDir.load(corpus.data).utterances
    for utterance, value in found.items():
        np.testing.assert_allclose(value, np.mean([part[utterance] for part in parts], axis=0), atol=1e-6)
    twin = Path(shutil.copytree(members[0], tmp_path / "twin"))
    fuse_experiments([members[0], twin], Experiment(tmp_path / "same"), FusionConfig())
    for utterance, value in predictions(tmp_path / "same").items():
        np.testing.assert_allclose(value, parts[0][utterance], atol=1e-6)


@pytest.mark.parametrize("rule", ["vote", "rank"])
def test_votes_and_ranks_are_of_classes(corpus, members, tmp_path, rule: str) -> None:
    out = tmp_path / rule
    fuse_experiments(members, Experiment(out), FusionConfig(rule=rule))
    found, parts = predictions(out), [predictions(path) for path in members]
    for utterance, value in found.items():
        assert value[:3].sum() == pytest.approx(1, abs=1e-6)
        assert value[3] == pytest.approx(np.mean([part[utterance][3] for part in parts]), abs=1e-5)
        winners = [part[utterance][:3].argmax() for part in parts]
        if rule == "vote" and len(set(winners)) < 3:
            assert value[:3].argmax() == max(winners, key=winners.count)
    assert score_experiment(out, corpus.data, draws=5).scores is not None


def test_the_test_speakers_labels_change_nothing(corpus, members, tmp_path) -> None:
    """Weights of a fold are chosen without its test labels: others leave its predictions as they are."""
    fuse_experiments(members, Experiment(tmp_path / "one"), FusionConfig())
    data = Path(shutil.copytree(corpus.data, tmp_path / "data"))
    lines = (data / "utt2emo").read_text().splitlines()
    other = [f"{line.split()[0]} calm" if line.startswith("a-") else line for line in lines]
    (data / "utt2emo").write_text("\n".join(other) + "\n")
    moved = []
    for path in members:
        moved.append(Path(shutil.copytree(path, tmp_path / path.name)))
        config = read_yaml(path / "config.yaml")
        config["sources"]["data"] = str(data)
        write_yaml(moved[-1] / "config.yaml", config)
    fuse_experiments(moved, Experiment(tmp_path / "two"), FusionConfig())
    for name in ("one", "two"):
        assert (tmp_path / name / "seed0" / "folda" / "test" / "pred.ark").is_file()
    one, two = (
        dict(ArkReader(tmp_path / name / "seed0" / "folda" / "test" / "pred.scp")) for name in ("one", "two")
    )
    assert all(np.array_equal(one[u], two[u]) for u in one)


def reorder(path: Path, classes: list[str]) -> None:
    """The same experiment with its classes in another order."""
    for scp in list(path.glob("seed*/fold*/*/pred.scp")):
        columns, found = read_yaml(scp.parent / "columns.yaml"), dict(ArkReader(scp))
        order = [columns["classes"].index(name) for name in classes]
        with ArkWriter(scp.with_suffix("")) as writer:
            for utterance, value in found.items():
                writer.write(utterance, np.concatenate([value[order], value[len(order) :]]))
        write_yaml(scp.parent / "columns.yaml", {**columns, "classes": classes})
    info = read_yaml(path / "info.yaml")
    info["task"]["classes"] = classes
    write_yaml(path / "info.yaml", info)


@pytest.mark.parametrize("rule", ["weights", "mean", "rank", "vote"])
def test_another_order_of_classes_is_put_right_by_name(members, copies, tmp_path, rule: str) -> None:
    reorder(copies[1], ["sad", "calm", "happy"])
    fuse_experiments(members[:2], Experiment(tmp_path / "one"), FusionConfig(rule=rule))
    fuse_experiments([members[0], copies[1]], Experiment(tmp_path / "two"), FusionConfig(rule=rule))
    one, two = predictions(tmp_path / "one"), predictions(tmp_path / "two")
    assert all(np.array_equal(one[u], two[u]) for u in one)


def test_what_only_some_predict_is_left_out_and_said(corpus, members, tmp_path, caplog) -> None:
    alone = train(tmp_path / "emotion", corpus, 1, TaskConfig(), seeds=(0, 1))
    with caplog.at_level("WARNING", logger="ser"):
        fuse_experiments([members[0], alone], Experiment(tmp_path / "out"), FusionConfig())
    assert "arousal" in caplog.text
    assert all(value.shape == (3,) for value in predictions(tmp_path / "out").values())
    attributes = train(
        tmp_path / "arousal", corpus, 1, TaskConfig(emotion=False, attributes=["arousal"]), (0, 1)
    )
    with pytest.raises(UserError, match="nothing that all members predict"):
        fuse_experiments([alone, attributes], Experiment(tmp_path / "none"), FusionConfig())
    with pytest.raises(UserError, match="no classes to vote"):
        fuse_experiments([members[0], attributes], Experiment(tmp_path / "none"), FusionConfig(rule="vote"))
    assert not (tmp_path / "none").exists()


def drop_one(path: Path, part: str) -> None:
    scp = path / "seed1" / "foldd" / part / "pred.scp"
    scp.write_text("".join(scp.read_text().splitlines(keepends=True)[1:]))


SPOILT = [
    (lambda path: drop_one(path, "test"), r"other utterances.*\(1 utterance fewer, 0 utterances more\)"),
    (lambda path: drop_one(path, "validation"), r"other utterances.*same validation options"),
    (lambda path: shutil.rmtree(path / "seed1" / "folda" / "validation"), "no validation predictions of a"),
    (lambda path: shutil.rmtree(path / "seed1" / "folda" / "test"), "no predictions of set 'test'"),
    (lambda path: shutil.rmtree(path / "seed1"), "other seeds or folds.*seed1/folda"),
    (lambda path: edit_info(path, protocol="another"), "another protocol"),
    (lambda path: edit_info(path, corpus="another"), "another corpus"),
    (lambda path: edit_info(path, task={"classes": ["x", "y"], "attributes": []}), "other classes than"),
    (lambda path: (path / "info.yaml").unlink(), "info.yaml"),
    (lambda path: write_yaml(path / "seed0" / "folda" / "test" / "columns.yaml", ["x"]), "not two lists"),
]  # fmt: skip


def edit_info(path: Path, **changes) -> None:
    write_yaml(path / "info.yaml", {**read_yaml(path / "info.yaml"), **changes})


@pytest.mark.parametrize("number", range(len(SPOILT)))
def test_members_that_do_not_belong_together_are_refused_and_nothing_is_written(
    copies, tmp_path, number
) -> None:
    spoil, message = SPOILT[number]
    spoil(copies[1])
    with pytest.raises(UserError, match=message):
        fuse_experiments(copies, Experiment(tmp_path / "out"), FusionConfig())
    assert not (tmp_path / "out").exists()


def test_without_validation_predictions_a_rule_without_weights_does(copies, tmp_path) -> None:
    for folder in copies[1].glob("seed*/fold*/validation"):
        shutil.rmtree(folder)
    assert fuse_experiments(copies, Experiment(tmp_path / "out"), FusionConfig(rule="mean")) == []
    assert not (tmp_path / "out" / "weights.tsv").exists() and predictions(tmp_path / "out")


def test_wrong_calls(members, tmp_path) -> None:
    out = Experiment(tmp_path / "out")
    for paths, message in (
        (members[:1], "two experiments or more"), ([members[0], members[0]], "given twice"),
        ([members[0], tmp_path / "nowhere"], "no such experiment"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            fuse_experiments(paths, out, FusionConfig())
    with pytest.raises(UserError, match="something else than a fusion"):
        fuse_experiments(members, Experiment(members[2]), FusionConfig())
    with pytest.raises(UserError, match="--groups"):
        fuse_experiments(members, out, FusionConfig(groups=1))
    assert not out.path.exists()
    fuse_experiments(members, out, FusionConfig(rule="mean"))
    fuse_experiments(members, out, FusionConfig())  # a fusion may be made anew
    with pytest.raises(UserError, match="own member"):
        fuse_experiments([out.path, members[0]], out, FusionConfig(rule="mean"))
    # And be a member of another one, where no weights are to be chosen on what it was fitted to.
    fuse_experiments([out.path, members[0]], Experiment(tmp_path / "again"), FusionConfig(rule="mean"))
    with pytest.raises(UserError, match="no validation predictions of out"):
        fuse_experiments([out.path, members[0]], Experiment(tmp_path / "again"), FusionConfig())


def test_fixed_sets_are_fused_set_by_set(tmp_path) -> None:
    sets = {name: make_set(tmp_path, name, speakers, utterances=8) for name, speakers in
            {"train": "abc", "validation": "de", "one": "fg", "two": "fh"}.items()}  # fmt: skip
    tests = [sets["one"], sets["two"]]
    sources = Sources(*sets["train"], *sets["validation"], *([t[i] for t in tests] for i in range(2)))
    paths = [train(tmp_path / name, sources, layer) for name, layer in (("x", 1), ("y", 0))]
    out = Experiment(tmp_path / "fused")
    fuse_experiments(paths, out, FusionConfig())
    for data, _ in tests:
        assert score_experiment(out.path, data, draws=5).scores is not None
    shutil.rmtree(paths[1] / "seed0" / "fold0" / "two")
    with pytest.raises(UserError, match="no predictions of set 'two', which other members have"):
        fuse_experiments(paths, Experiment(tmp_path / "other"), FusionConfig())


def guessing(members: int, seed: int, speakers: int = 6, each: int = 8) -> Task:
    """Members that know nothing at all: whatever weights win is chance."""
    rng = np.random.default_rng(seed)
    count = speakers * each
    values = rng.dirichlet(np.ones(3), (members, count))
    names = [f"s{i // each}" for i in range(count)]
    return Task(EMOTION, "UAR", slice(0, 3), values, rng.integers(0, 3, count), names)


def test_weights_of_members_that_guess_do_not_pay_on_other_speakers() -> None:
    found = [weigh(guessing(4, seed, each=5), "weights", 3, seed) for seed in range(4)]
    assert np.mean([each.fused for each in found]) > 0.45  # chance is a third: fitted to noise
    assert abs(np.mean([each.crossed for each in found]) - 1 / 3) < 0.08
    warned = warn_of_overfitting({Path(str(i)): [each] for i, each in enumerate(found)})
    assert len(warned) == 1 and "fitted to their speakers" in warned[0]


def test_weights_that_pay_are_not_warned_of() -> None:
    def one(fused: float, crossed: float | None) -> Weighed:
        scores = {"members": [0.5, 0.6], "mean": 0.62, "fused": fused, "crossed": crossed}
        return Weighed("emotion", "UAR", slice(0, 3), np.array([0.3, 0.7]), np.mean, **scores)

    assert warn_of_overfitting({Path("a"): [one(0.7, 0.65)], Path("b"): [one(0.7, 0.64)]}) == []
    [warning] = warn_of_overfitting({Path("a"): [one(0.7, 0.65)], Path("b"): [one(0.7, 0.55)]})
    assert "the plain mean has 0.6200" in warning
    [warning] = warn_of_overfitting({Path("a"): [one(0.7, None)]})
    assert "fewer than two validation speakers" in warning


def test_one_speaker_cannot_be_held_out() -> None:
    assert cross_validated(guessing(2, 0, speakers=1), 5, 0) is None
    assert cross_validated(guessing(2, 0, speakers=2), 5, 0) is not None
