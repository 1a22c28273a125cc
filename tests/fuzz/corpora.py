"""Readers of the files that corpora ship, with valid contents and what a right result is."""

import math
from pathlib import Path

import numpy as np
import soundfile

from ser.core.errors import UserError
from ser.corpora import emodb, own_csv, ravdess
from ser.corpora.crema_d import NAME, SENTENCES, read_votes
from ser.corpora.crema_d import _demographics as demographics
from ser.corpora.iemocap.evaluation import SLIP, Turn, read_evaluation, soft_label
from ser.corpora.iemocap.release import Selection
from ser.corpora.iemocap.transcripts import Transcripts, read_transcripts
from ser.corpora.meld import CLASSES, read_rows, unify
from ser.corpora.msp_podcast.labels import SCALE, Label, read_consensus, read_partitions, read_speakers
from ser.corpora.msp_podcast.votes import read_labels_txt
from ser.corpora.msp_podcast.votes import read_votes as read_detailed
from ser.corpora.own_rows import Clip, read_clips
from ser.data.labels import CLASS_LABEL
from tests.fixtures.msp_podcast import clips, texts
from tests.fuzz.harness import Parser

EVALUATION = b"""% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[5.0000 - 7.1250]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral state;\t()
C-E3:\tAnger; Frustration;\t(tired)
C-F1:\tSurprise;\t()
A-E3:\tval 3; act 2; dom  3;\t()

[8.2500 - 10.3750]\tSes01F_impro01_M000\tang\t[1.5000, 4.5000, 4.5000]
C-E2:\tAnger;\t()
C-E4:\tAnger;\t()
"""
TRANSCRIPT = b"""Ses01F_impro01_F000 [005.0000-007.1250]: Excuse me.
Ses01F_impro01_MXX0 [008.0000-009.0000]: [BREATHING]
Ses01F_impro01_M000 [008.2500-010.3750]: Do you have your forms?
F: [LAUGHTER]
"""
MELD = """Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime
1,"Hey, you!",Ross,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"
2,I’m so sorry.,Mrs.  Green,sadness,negative,0,1,8,21,"00:16:21,940","00:16:23,442"
""".encode()
VOTES = b""""","A","D","F","H","N","S","fileName","numResponses"
"100001","5","0","1","0","4","0","1001_DFA_ANG_XX",10
"200001","5","0","1","0","4","0","1001_DFA_ANG_XX",10
"100002","0","0","0","0","9","1","1002_IEO_NEU_LO",10
"100003","0","0","0","0","9","1","ANG_HI_practice",10
"""
DEMOGRAPHICS = b'"ActorID","Age","Sex","Race"\n1001,51,"Male","Caucasian"\n1002,21,"Female","Caucasian"\n'
LISTENED = (
    "Nr.\tSatz\terkannt\tnatürlich\n1\t03a01Fa.wav\t90,00\t100,00\n2\t03a01Nc.wav\t 100,00\xa0\t55\n".encode(
        "latin-1"
    )
)
OWN = b"""path,speaker,emotion,arousal,split,text,dialogue,turn,gender,age,id
wav/a1.wav,ann,anger,4.5,train,"Give it, now.",d1,1,female,31,
wav/a2.wav,ann,joy,3,train,What a day.,d1,2,female,31,
wav/b1.wav,bob,anger,5,dev,No.,d2,1,male,40.5,one
wav/b2.wav,bob,joy,1,test,Yes.,d2,2,male,40.5,two
"""
MSP = {name: text[:1500].rsplit("\n", 1)[0].encode() + b"\n" for name, text in texts(clips(), "2.0").items()}
MSP_LETTERS = "ASHUFDCN"
CONSENSUS = b"""{"MSP-PODCAST_0001_0008.wav":
{"EmoClass": "A", "EmoAct": 4.2, "EmoVal": "3", "EmoDom": 1, "Gender": "Male"}}"""
DETAILED = b"""{"MSP-PODCAST_0001_0008.wav":
{"WORKER1": {"EmoClass_Major": "Angry"}, "WORKER2": {"EmoClass_Major": 3}}}"""


def check_turns(path: Path, turns: list[Turn]) -> None:
    """Times in order, attributes on the scale, shares that are shares."""
    assert turns == sorted(turns, key=lambda turn: (turn.start, turn.end, turn.name))
    for turn in turns:
        assert 0 <= turn.start < turn.end < math.inf and all(v in SLIP for v in turn.attributes.values())
        shares = soft_label(turn, Selection.of("all"))
        assert shares is None or math.isclose(sum(shares), 1)


def check_transcripts(path: Path, found: Transcripts) -> None:
    """Turns of this dialogue, each with words in one line."""
    assert all(name.startswith(path.stem) for name in found.text)
    assert all(words and words == " ".join(words.split()) for words in found.text.values())


def check_labels(path: Path, labels: dict[str, Label]) -> None:
    """Values on the scale, numbers of speakers, names without a folder."""
    for name, label in labels.items():
        assert "/" not in name and (not label.speaker or label.speaker.isdigit())
        values = (label.arousal, label.valence, label.dominance)
        assert all(value is None or value in SCALE for value in values)


def check_meld(path: Path, rows: dict) -> None:
    """Known emotions and speakers that can be told apart."""
    assert all(row["Emotion"].lower() in CLASSES for row in rows.values())
    assert unify(row["Speaker"] for row in rows.values()).keys() == {row["Speaker"] for row in rows.values()}


def check_votes(path: Path, votes: dict[str, dict[str, int]]) -> None:
    """Names as the corpus has them, whole numbers."""
    assert all(NAME.fullmatch(name) and min(counts.values()) >= 0 for name, counts in votes.items())


def read_own(path: Path) -> dict:
    """``ser prepare csv`` short of writing, with the audio that the valid table names."""
    for name in ("a1", "a2", "b1", "b2"):
        wav = path.parent / f"wav/{name}.wav"
        if not wav.exists():
            wav.parent.mkdir(exist_ok=True)
            soundfile.write(wav, np.zeros(800, np.float32), 16000)
    clips: list[Clip] = read_clips(path, path.parent)
    facts = own_csv.OwnCorpus("own", str(path), "1", "none", (str(path.parent),))
    ranges = own_csv.parse_ranges("arousal=1:5")
    try:
        whole = own_csv.read(facts, clips, path.parent, ranges, allow_partial=True)
        sets = own_csv.divide(whole, clips)
        for data in sets.values():
            data.check()
    except UserError as error:
        if str(path.parent) in str(error) or "--range" in str(
            error
        ):  # told of the corpus's folder or an option
            error.args = (f"{path.name}: {error}",)
        raise
    return sets


def check_own(path: Path, sets: dict) -> None:
    """Labels of one file are those of its row."""
    for data in sets.values():
        assert set(data.tables.get(f"utt2{CLASS_LABEL}", {})) <= set(data.utterances)
        assert all(Path(wav).parent.is_relative_to(path.parent.resolve()) for wav in data.wav_scp.values())


def read_names(pattern: str, reader) -> "callable":
    """A reader of names of files: the content is the name."""

    def read(path: Path):
        text = path.read_bytes().decode(errors="replace").replace("/", "_").replace("\0", "_")[:200]
        try:
            return text, reader(path.parent / (text or "x"))
        except UserError as error:
            error.args = (f"{path.name}: {error}".replace("\n", " "),)  # its name is the text itself
            raise

    return Parser(
        pattern,
        read,
        (b"03-01-06-01-02-01-12.wav", b"03a01Fa.wav", f"1001_{next(iter(SENTENCES))}_ANG_XX.wav".encode()),
    )


PARSERS = {
    "IEMOCAP evaluation": Parser("Ses01F_impro01.txt", read_evaluation, (EVALUATION,), check_turns),
    "IEMOCAP transcript": Parser(
        "Ses01F_impro01.txt",
        lambda path: read_transcripts(path, {"Ses01F_impro01_F000"}),
        (TRANSCRIPT,),
        check_transcripts,
    ),
    "MELD": Parser("train_sent_emo.csv", lambda path: read_rows(path, "train"), (MELD,), check_meld),
    "CREMA-D votes": Parser("tabulatedVotes.csv", read_votes, (VOTES,), check_votes),
    "CREMA-D actors": Parser(
        "VideoDemographics.csv",
        lambda path: demographics(path.parent, path.parent, {"u": "1001"}),
        (DEMOGRAPHICS,),
    ),
    "EmoDB listening test": Parser("erkennung.txt", emodb.read_listening_test, (LISTENED,)),
    "MSP labels_consensus.csv": Parser(
        "labels_consensus.csv", read_consensus, (MSP["Labels/labels_consensus.csv"],), check_labels
    ),
    "MSP labels_consensus.json": Parser("labels_consensus.json", read_consensus, (CONSENSUS,), check_labels),
    "MSP labels.txt": Parser(
        "labels.txt",
        read_labels_txt,
        (MSP["Labels/labels.txt"],),
        lambda path, found: check_labels(path, found[0]),
    ),
    "MSP labels_detailed.csv": Parser(
        "labels_detailed.csv", lambda path: read_detailed(path, None), (MSP["Labels/labels_detailed.csv"],)
    ),
    "MSP labels_detailed.json": Parser(
        "labels_detailed.json", lambda path: read_detailed(None, path), (DETAILED,)
    ),
    "MSP Partitions.txt": Parser("Partitions.txt", read_partitions, (MSP["Partitions.txt"],), check_labels),
    "MSP Speaker_ids.txt": Parser("Speaker_ids.txt", read_speakers, (MSP["Speaker_ids.txt"],), check_labels),
    "own csv": Parser("own.csv", read_own, (OWN, OWN.replace(b",split", b",other")), check_own),
    "RAVDESS names": read_names("ravdess", ravdess.parse),
}
