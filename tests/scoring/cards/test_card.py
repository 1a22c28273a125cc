"""The model card: every fact from a file, 'not known' where there is none, nothing of this machine."""

import re
from pathlib import Path

import pytest
import yaml

from ser.core.errors import UserError
from ser.core.files import write_json, write_yaml
from ser.downstream.config import ModelConfig, OptimizerConfig, TrainConfig, ValidationConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.scoring.cards.card import MARK, make_card
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.text import shown, with_interval
from tests.downstream.corpus import CLASSES, make_set
from tests.scoring.builder import System, make_data, make_experiment

CONFIG = {
    "train": {"name": "", "validation": {"method": "inner_folds", "folds": 3, "share": 0.2}},
    "sources": {"data": "data/all", "feats": "feats/fbank/all", "test_data": []},
}
ENVIRONMENT = {"ser": "0.1.0", "commit": "0123456789ab", "python": "3.12.1", "libraries": {"torch": "2.11.0"}}


@pytest.fixture(autouse=True)
def in_its_folder(tmp_path, monkeypatch):
    """Paths in config.yaml are relative to the recipe's folder, where its commands run."""
    monkeypatch.chdir(tmp_path)


def made(tmp_path, system=None, corpus="emodb", environment=True, change=lambda data: None, **options):
    """A cross-validated experiment with every file, scored."""
    data = make_data(tmp_path / "data" / "all", speakers=4, each=14, corpus=corpus, **options)
    data.speakers["spk2gender"] = {"03": "f", "04": "f", "05": "m", "06": "m"}
    data.tables["utt2dur"] = dict.fromkeys(data.utterances, "45.0")
    change(data)
    data.write(tmp_path / "data" / "all")
    experiment = make_experiment(tmp_path / "exp" / "tag", data, system or System("linear"))
    if environment:
        write_yaml(experiment / "config.yaml", CONFIG)
        write_yaml(experiment / "env.yaml", ENVIRONMENT)
    return experiment, score_experiment(experiment, data.path, draws=50)


def check_form(text):
    """A head that YAML reads, tables whose rows have as many cells as their head, no stray Python."""
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "audio-classification"
    assert "None" not in text and "nan" not in body.split() and "{{" not in text and "Undefined" not in text
    for block in re.findall(r"(?:^\|.*\n)+", body, flags=re.M):
        rows = [len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()]
        assert len(rows) > 2 and len(set(rows)) == 1, block
    assert "\n\n\n" not in text and text.endswith("\n")


def row(text, first):
    """The cells after the first of a table's row."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_every_fact_is_there(tmp_path):
    system = System(
        "my head", "hubert_base", parameters=94_371_712, layers=13, seeds=(0, 4), trained_parameters=777
    )
    experiment, outcome = made(tmp_path, system)
    text = (experiment / "README.md").read_text()
    assert outcome.files == [experiment / "scores.json", experiment / "README.md"]
    check_form(text)
    assert row(text, "Upstream's parameters") == ["94,371,712"] and row(text, "Layers, dimensions") == [
        "13, 64"
    ]
    assert row(text, "Trained parameters") == ["777 in each of 8 models"]
    assert row(text, "Speech") == ["acted German"] and row(text, "Licence of the corpus") == ["CC0-1.0"]
    assert row(text, "Corpus") == ["EmoDB (emodb), release 1.3"]
    # 4 speakers x 14 utterances x 45 s
    assert row(text, "data/all") == ["train and test, by fold", "56", "4", "0.70", "gender: 2 female, 2 male"]
    assert row(text, "Labels of naturalness") == ["as the corpus gives them; 0 to 100"]
    for part in (
        "leave-one-speaker-out, 4 folds", "Speakers both in training and in test: 0.", "Inductive",
        "3 inner folds of the training speakers", "Seeds 0, 4; folds 03, 04, 05, 06", "commit 0123456789ab",
        "torch 2.11.0", "Python 3.12.1", "ser predict exp/tag a.wav -o out.csv", "method: inner_folds",
        "biometric data", "Article 9(1)", "Article 5(1)(f)", "Tested on 4 speakers, fewer than 20",
        "The speakers' age is not known", "Not tested on another corpus", "50 draws, seed 0",
    ):  # fmt: skip
        assert part in text, part
    assert str(tmp_path) not in text, "no path of this machine"


def test_every_number_of_the_results_is_in_scores_json(tmp_path):
    experiment, outcome = made(tmp_path)
    text, scores = (experiment / "README.md").read_text(), outcome.scores
    for part in (scores.classification, scores.attributes["naturalness"]):
        values = [with_interval(value, name) for name, value in part.metrics.items()]
        assert f"| all | {' | '.join(values)} | 56 | 4 |" in text
        (found,) = part.groupings
        for group in found.groups:
            values = [with_interval(value, name) for name, value in group.metrics.items()]
            assert f"| gender: {group.name} | {' | '.join(values)} | 28 | 2 |" in text
        (pair,) = found.differences
        values = [with_interval(value, name) for name, value in pair.metrics.items()]
        assert f"| female less male | {' | '.join(values)} | | |" in text
    for each in scores.classification.per_class:
        numbers = map(shown, (each.precision, each.recall, each.f1))
        assert row(text, each.name) == [str(each.support), *numbers]
    lowest = sorted(scores.classification.per_class, key=lambda each: each.recall)[:2]
    assert "Lowest recall: " + ", ".join(f"{each.name} {shown(each.recall)}" for each in lowest) in text


def test_a_real_experiment_from_training_to_card(tmp_path):
    data, feats = make_set(Path(), "all", ["a", "b", "c", "d"], folds=True)
    config = TrainConfig(
        model=ModelConfig(pooling="mean"), optimizer=OptimizerConfig(epochs=2),
        validation=ValidationConfig(method="held_out"),
    )  # fmt: skip
    experiment = Experiment(Path("exp/toy"))
    train_experiment(config, Sources(data, feats), experiment, seed=5)
    predict_experiment(experiment)
    score_experiment(experiment.path, data, draws=20)
    text = (experiment.path / "README.md").read_text()
    check_form(text)
    assert str(tmp_path) not in text
    assert row(text, "Labels of emotion") == [f"as the corpus gives them; {', '.join(CLASSES)}"]
    assert row(text, "data/all") == ["train and test, by fold", "48", "4", "not known", "not known"]
    assert "training speakers that are held out" in text and "Seed 5;" in text and "4 files)" in text
    assert "acted, elicited or natural speech, and its language: not known" in text
    assert "The speakers' gender is not known" in text


def test_what_no_file_says_is_not_known(tmp_path):
    experiment, _ = made(tmp_path, corpus="somebody_s", environment=False)
    info = yaml.safe_load((experiment / "info.yaml").read_text())
    for key in ("protocol", "upstream", "timing"):
        del info[key]
    write_yaml(experiment / "info.yaml", info)
    for fit in experiment.glob("seed*/fold*/fit.json"):
        fit.unlink()
    score_experiment(experiment, tmp_path / "data" / "all", draws=20)
    text = (experiment / "README.md").read_text()
    check_form(text)
    for name in ("Speech", "Precision", "Trained parameters", "Upstream's parameters", "To be had at",
                 "Whole copy of the release"):  # fmt: skip
        assert row(text, name) == ["not known"], name
    for part in ("Protocol: not known.", "commit not known", "are chosen on not known"):
        assert part in text, part


def test_synthetic_derived_partial_transductive_are_said(tmp_path):
    def change(data):
        data.labels.partial = True

    system = System("linear", options=["per-speaker standardisation (transductive)"])
    experiment, _ = made(tmp_path, system, corpus="mini", change=change, derived=("emo",))
    text = (experiment / "README.md").read_text()
    check_form(text)
    for part in (
        "**Trained on synthetic speech.**", "Transductive: the system also uses",
        "The labels of emotion are derived, not annotated.", "say nothing about people",
        "these are not the figures of the whole", "| Speech | synthetic English (espeak-ng) |",
    ):  # fmt: skip
        assert part in text, part
    assert row(text, "Whole copy of the release") == ["no: utterances of the release are missing"]
    assert row(text, "Labels of emotion")[0].startswith("derived, not annotated; anger")


def test_a_whole_copy_is_one_that_has_what_the_reader_expects(tmp_path):
    def change(data):
        data.labels.expected = {"utterances": 56}

    experiment, _ = made(tmp_path, change=change)
    text = (experiment / "README.md").read_text()
    assert row(text, "Whole copy of the release") == ["yes: as many utterances as the release has"]


def test_speakers_on_both_sides_are_counted(tmp_path):
    def change(data):
        first, second = data.spk2utt["03"][:2]
        data.tables["utt2fold"] |= {first: "04", second: "03"}

    experiment, _ = made(tmp_path, change=change)
    text = (experiment / "README.md").read_text()
    assert "Speakers both in training and in test: 1." in text
    assert "1 speaker both in training and in test: the results are not those of new speakers." in text


def test_all_sets_are_on_one_card_and_another_corpus_is_called_so(tmp_path):
    first = make_data(tmp_path / "data" / "test1", 3, 7, folds=False)
    second = make_data(tmp_path / "data" / "test2", 3, 7, folds=False)
    system = System("linear")
    experiment = make_experiment(tmp_path / "exp", first, system, set_name="test1")
    make_experiment(experiment, second, system, set_name="test2")
    score_experiment(experiment, first.path, draws=20)
    score_experiment(experiment, second.path, draws=20)
    text = (experiment / "README.md").read_text()
    check_form(text)
    assert text.count("### emodb 1.3, set 'test") == 2 and "Set 'test1': Tested on 3 speakers" in text
    foreign = Scores.read(experiment / "scores_test1.json")
    foreign.data.corpus, foreign.data.path = "iemocap", "data/gone"
    (experiment / "cross" / "iemocap" / "test").mkdir(parents=True)
    foreign.write(experiment / "cross" / "iemocap" / "test" / "scores.json")
    text = make_card(experiment, {})
    check_form(text)
    assert "### iemocap 1.3, set 'test1', another corpus than that of the training" in text
    assert "Tested on another corpus than that of the training: iemocap; on no others." in text
    assert "Not tested on another corpus" not in text and "# exp\n" in text
    assert row(text, "data/gone") == ["test on another corpus", *["not known"] * 4]


def test_a_card_of_one_s_own_is_left_alone_and_ours_is_made_anew(tmp_path):
    experiment, _ = made(tmp_path)
    card, data = experiment / "README.md", tmp_path / "data" / "all"
    first = card.read_text()
    card.write_text(first + "changed\n")
    score_experiment(experiment, data, draws=50)
    assert card.read_text() == first, "the same files, the same bytes"
    card.write_text(first.replace(MARK, "") + "my own\n")
    files = score_experiment(experiment, data, draws=50).files
    assert card.read_text().endswith("my own\n") and files == [experiment / "scores.json"]
    assert make_card(tmp_path, {}) is None, "nothing is scored there"


def test_strings_of_files_cannot_break_out(tmp_path):
    evil = "x | y\n# <script>alert(1)</script>"
    experiment, outcome = made(tmp_path, corpus="somebody_s")
    scores = outcome.scores
    scores.info |= {"name": evil, "protocol": evil}
    scores.info["upstream"] |= {"upstream": evil, "family": evil}
    scores.data.release = scores.classification.per_class[0].name = scores.classification.classes[0] = evil
    text = make_card(experiment, {experiment / "scores.json": scores})
    check_form(text)
    assert "<script" not in text and not any(line.startswith("# <") for line in text.splitlines())


def test_an_upstream_s_folder_is_named_without_the_machine_s_path(tmp_path):
    experiment, outcome = made(tmp_path)
    for name, expected in (
        ("hf:/home/me/models/whisper", "hf:whisper"),
        ("hf:openai/whisper-base", "hf:openai/whisper-base"),
        ("s3prl:hubert_local:/scratch/hubert.pt", "s3prl:hubert_local:hubert.pt"),
        ("wavlm_base", "wavlm_base"),
    ):
        outcome.scores.info["upstream"]["upstream"] = name
        text = make_card(experiment, {experiment / "scores.json": outcome.scores})
        assert row(text, "Upstream")[0].startswith(f"{expected}, family"), name


def test_a_broken_configuration_is_one_line_and_nothing_is_written(tmp_path):
    experiment, _ = made(tmp_path)
    for name in ("scores.json", "README.md"):
        (experiment / name).unlink()
    (experiment / "config.yaml").write_text("- a list\n")
    with pytest.raises(UserError, match=r"config.yaml: not what 'ser train' writes"):
        score_experiment(experiment, tmp_path / "data" / "all", draws=20)
    assert not (experiment / "scores.json").exists() and not (experiment / "README.md").exists()


def test_scores_that_cannot_be_read_are_left_out(tmp_path, caplog):
    experiment, _ = made(tmp_path)
    write_json(experiment / "scores_other.json", {"format": 99})
    score_experiment(experiment, tmp_path / "data" / "all", draws=20)
    assert (experiment / "README.md").read_text().count("### ") == 1
