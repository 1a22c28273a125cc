"""What a data directory of MSP-Podcast holds: classes, attributes, speakers, genders."""

import pytest

from ser.core.errors import UserError
from ser.corpora import msp_podcast
from ser.corpora.msp_podcast.labels import Label
from ser.corpora.msp_podcast.speakers import gender_tables, speaker_ids
from ser.data.speakers import is_known
from tests.corpora.msp_podcast.copies import clip, prepare


def test_what_a_data_directory_holds(trees, tmp_path):
    train = prepare(trees("2.0"), tmp_path)["train"]
    chosen = clip("A")
    utterance = f"spk{int(chosen.speaker):04d}-{chosen.name[:-4]}"
    assert train.utt2spk[utterance] == f"spk{int(chosen.speaker):04d}"
    assert train.tables["utt2orig"][utterance] == chosen.name
    assert train.classes_of()[utterance] == "anger"
    assert train.attribute("arousal")[utterance] == pytest.approx(chosen.mean(1))
    assert train.attribute("valence")[utterance] == pytest.approx(chosen.mean(2))
    assert train.tables["text"][utterance] == f"{chosen.text}."
    shares = dict(
        zip(train.labels.classes, map(float, train.tables["utt2emodist"][utterance].split()), strict=True)
    )
    assert shares["anger"] == 0.75
    assert sum(shares.values()) == 1
    assert train.labels.classes == list(msp_podcast.CLASSES.values())
    assert train.labels.complete == []
    assert train.labels.partial
    assert train.labels.expected == {"utterances": 169190}


@pytest.mark.parametrize("letter", ["O", "X"])
def test_without_agreement_there_is_no_class_but_the_attributes(trees, tmp_path, letter):
    train = prepare(trees("2.0"), tmp_path)["train"]
    [utterance] = [u for u, name in train.tables["utt2orig"].items() if name == clip(letter).name]
    assert utterance not in train.classes_of()
    assert utterance in train.attribute("dominance")


def test_speakers_are_of_one_width_and_sort_as_kaldi_wants():
    labels = {
        f"MSP-PODCAST_{i:04d}_1.wav": Label(speaker=s, set="train") for i, s in enumerate(["3", "12345", ""])
    }
    assert list(speaker_ids(labels).values()) == ["spk00003", "spk12345", "unknown_0002"]


@pytest.mark.parametrize(
    ("option", "speakers", "utterances"), [("recording", 1, 8), ("utterance", 8, 8), ("drop", 0, 0)]
)
def test_unknown_speakers(trees, tmp_path, option, speakers, utterances):
    data = prepare(trees("2.0"), tmp_path, "--unknown-speakers", option)
    unknown = [speaker for speaker in data["train"].utt2spk.values() if not is_known(speaker)]
    assert (len(set(unknown)), len(unknown)) == (speakers, utterances)
    assert len(data["test3"].utterances) == 9
    if option == "drop":
        assert data["train"].labels.expected == {}


def test_genders_are_complete_or_by_utterance(trees, tmp_path):
    data = prepare(trees("2.0"), tmp_path)
    assert data["test1"].spk2gender == {"spk0007": "m", "spk0019": "m", "spk0041": "m", "spk0300": "f"}
    assert "utt2gender" not in data["test1"].tables
    assert data["train"].spk2gender == {}
    genders = data["train"].trait("gender")
    assert set(genders) == {u for u, s in data["train"].utt2spk.items() if is_known(s)}
    assert genders["spk0012-MSP-PODCAST_0101_0008"] == "f"


def test_a_speaker_of_two_genders_is_told(caplog):
    by_speaker, by_utterance = gender_tables({"a-1": "a", "a-2": "a"}, {"a-1": "m", "a-2": "f"})
    assert (by_speaker, by_utterance) == ({}, {"utt2gender": {"a-1": "m", "a-2": "f"}})
    assert "1 speaker of two genders: a" in caplog.text


def test_fewer_classes_and_their_order(trees, tmp_path):
    train = prepare(trees("2.0"), tmp_path, "--classes", "N,anger,S,H")["train"]
    assert train.labels.classes == ["neutral", "anger", "sadness", "happiness"]
    assert set(train.classes_of().values()) == set(train.labels.classes)
    assert all(len(shares.split()) == 4 for shares in train.tables["utt2emodist"].values())
    assert len(train.attribute("arousal")) == len(train.utterances)


@pytest.mark.parametrize("text", ["A", "A,A", "A,Q", "", "A,joy"])
def test_bad_classes_are_refused(text):
    with pytest.raises(UserError, match="--classes"):
        msp_podcast.class_letters(text)
