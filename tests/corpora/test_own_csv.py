"""One's own table: what it may say, what it may not, and that every complaint has its line."""

import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser.cli.prepare import main
from ser.core.errors import UserError
from ser.corpora import own_csv
from ser.data.datadir import DataDir
from ser.data.labels import Range
from ser.data.report import validate
from ser.data.speakers import is_known
from tests.fixtures.speech import Tone

FILES = ("ann/1.wav", "ann/2.wav", "bob/1.wav", "bob/2.wav", "cem/1.wav", "cem/2.wav")


class Home:
    """A folder with audio, and the table that a test writes."""

    def __init__(self, folder):
        self.audio, self.table, self.out = folder / "audio", folder / "my corpus.csv", folder / "data"
        for name in FILES:
            Tone().wav(self.audio / name, "")

    def prepare(self, text, *options, audio=True):
        """Run the verb on a table; return the sets that it wrote."""
        self.table.write_bytes(text if isinstance(text, bytes) else text.encode())
        words = ["--db-root", str(self.audio)] if audio else []
        main(["csv", str(self.table), "--out", str(self.out), "--nj", "1", *words, *options])
        sets = {path.name: DataDir.load(path) for path in sorted(self.out.iterdir())}
        for name in sets:
            assert validate(self.out / name) == []
        return sets

    def refuse(self, text, *options):
        """Run the verb on a table that is wrong; return the message, folders cut short."""
        with pytest.raises(UserError) as caught:
            self.prepare(text, *options)
        assert not self.out.exists()
        return str(caught.value).replace(str(self.table), "T").replace(str(self.audio), "A")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def rows(header, *more, files=FILES):
    """A table: the path, the speaker as its folder, then columns that are functions of the row's number."""
    lines = [",".join(["path", "speaker", header])]
    for number, name in enumerate(files):
        values = [column(number) if callable(column) else column for column in more]
        lines.append(",".join([name, name.split("/")[0], *map(str, values)]))
    return "\n".join([*lines, ""])


def emotion(number):
    return ("sad", "angry")[number % 2]


def test_a_plain_table(home):
    (data,) = home.prepare(rows("emotion", emotion)).values()
    assert data.path.name == "all"
    assert data.utterances == ["ann-1", "ann-2", "bob-1", "bob-2", "cem-1", "cem-2"]
    assert data.labels.classes == ["angry", "sad"]
    assert data.classes_of()["ann-1"] == "sad"
    assert data.utt2spk["bob-2"] == "bob"
    assert data.tables["utt2orig"]["bob-2"] == "bob/2.wav"
    assert sorted(set(data.folds().values())) == ["fold1", "fold2", "fold3"]
    assert len({(data.utt2spk[name], fold) for name, fold in data.folds().items()}) == 3
    assert (data.labels.corpus, data.labels.licence) == ("my_corpus", "unknown")
    assert data.labels.expected == {"utterances": 6, "angry": 3, "sad": 3}
    assert not data.labels.partial
    assert data.wav_scp["cem-1"] == str((home.audio / "cem/1.wav").resolve())


def test_every_column(home):
    columns = "emotion,arousal,valence,dominance,split,text,dialogue,turn,gender,age,id"
    values = (emotion, lambda n: n, -0.5, 7, lambda n: ("Train", "dev", "Test 2")[n // 2], "It\u2019s  so",
              lambda n: f"scene {n // 2}", lambda n: n, lambda n: ("F", "male", "m")[n // 2],
              lambda n: 30 + n // 2, lambda n: f"u-{n}")  # fmt: skip
    ranges = "arousal=0:5,valence=-1:1,dominance=1:7"
    sets = home.prepare(
        rows(columns, *values), "--range", ranges, "--corpus", "mine", "--licence", "CC-BY-4.0"
    )
    assert sorted(sets) == ["test_2", "train", "validation"]
    data = sets["validation"]
    assert data.utterances == ["bob-u_2", "bob-u_3"]
    assert data.attribute("arousal") == {"bob-u_2": 2, "bob-u_3": 3}
    assert data.attribute("valence") == {"bob-u_2": -0.5, "bob-u_3": -0.5}
    assert data.labels.attributes == {
        "arousal": Range(0, 5),
        "valence": Range(-1, 1),
        "dominance": Range(1, 7),
    }
    assert data.tables["text"]["bob-u_2"] == "It's so"
    assert data.tables["utt2dialogue"]["bob-u_3"] == "scene_1"
    assert data.tables["utt2turn"]["bob-u_3"] == "3"
    assert data.tables["utt2orig"]["bob-u_3"] == "u-3"
    assert data.spk2gender == {"bob": "m"}
    assert data.speakers["spk2age"] == {"bob": "31"}
    assert data.folds() == {}
    assert (data.labels.corpus, data.labels.licence) == ("mine", "CC-BY-4.0")
    assert data.labels.expected == {"utterances": 2, "angry": 1, "sad": 1}
    assert {one.labels.classes[0] for one in sets.values()} == {"angry"}


def test_attributes_alone(home):
    (data,) = home.prepare(rows("arousal", lambda n: n + 0.5), "--range", "arousal=0:6").values()
    assert data.labels.classes == []
    assert data.attribute("arousal")["cem-2"] == 5.5
    assert data.labels.expected == {"utterances": 6}


def test_paths_start_from_the_table_s_folder_by_default(home, tmp_path, monkeypatch):
    names = [f"audio/{name}" for name in FILES]
    table = "\n".join(["path,emotion", *(f"{name},calm" for name in names), ""])
    assert len(home.prepare(table, audio=False)["all"].utterances) == 6
    monkeypatch.chdir(tmp_path)
    main(["csv", "my corpus.csv", "--out", "here"])
    assert DataDir.load("here/all").wav_scp == DataDir.load(home.out / "all").wav_scp


def test_order_of_rows_line_ends_and_quotes_change_nothing(home):
    text = rows("emotion,text", emotion, '"No, ""you"""')
    first = home.prepare(text)["all"]
    header, *lines = text.splitlines()
    assert home.prepare("\ufeff" + "\r\n".join([header, *reversed(lines), ""]))["all"] == first
    assert first.tables["text"]["ann-1"] == 'No, "you"'


def test_windows_1252(home, caplog):
    data = home.prepare(rows("emotion,text", emotion, "It\u2019s Zo\u00eb").encode("cp1252"))["all"]
    assert data.tables["text"]["ann-1"] == "It's Zo\u00eb"
    assert "not UTF-8, read as Windows-1252" in caplog.text


def test_classes_in_order(home):
    data = home.prepare(rows("emotion", emotion), "--classes", "sad, angry,calm")["all"]
    assert data.labels.classes == ["sad", "angry", "calm"]
    assert data.labels.expected == {"utterances": 6, "sad": 3, "angry": 3, "calm": 0}
    assert home.prepare(rows("emotion", "Pleasant surprise"))["all"].labels.classes == ["Pleasant_surprise"]


def test_folds(home, caplog):
    assert set(home.prepare(rows("emotion", emotion), "--folds", "2")["all"].folds().values()) == {
        "fold1",
        "fold2",
    }
    one_voice = rows("emotion", emotion, files=FILES[:2])
    assert home.prepare(one_voice)["all"].folds() == {}
    assert "one speaker: no folds" in caplog.text


def test_unknown_speakers(home, caplog):
    text = rows("emotion", emotion).replace("/1.wav,ann", "/1.wav,").replace("/2.wav,ann", "/2.wav,Unknown")
    data = home.prepare(text)["all"]
    unknown = [speaker for speaker in data.spk2utt if not is_known(speaker)]
    assert unknown == ["unknown_1", "unknown_2"]
    assert data.utt2spk["unknown_1-1"] == "unknown_1"
    assert "2 utterances without a speaker: folds cannot keep the same voice out of the test" in caplog.text
    nobody = "\n".join(["path,emotion", *(f"{name},calm" for name in FILES), ""])
    data = home.prepare(nobody)["all"]
    assert len(data.spk2utt) == 6
    assert data.utt2spk["unknown_ann_1-ann_1"] == "unknown_ann_1"


def test_ids_are_made_unique_by_folder_and_only_where_need_be(home):
    for name in ("x/1.wav", "x/a b.wav", "x/a.flac", "x/a.wav", "y/1.wav", "y/2.wav"):
        Tone().wav(home.audio / name, "")
    names = ("x/1.wav", "y/1.wav", "y/2.wav", "x/a.wav", "x/a.flac", "x/a b.wav")
    table = "\n".join(["path,speaker,emotion", *(f"{name},sam,calm" for name in names), ""])
    originals = home.prepare(table)["all"].tables["utt2orig"]
    assert originals == {
        "sam-x_1": "x/1.wav", "sam-y_1": "y/1.wav", "sam-2": "y/2.wav", "sam-x_a_wav": "x/a.wav",
        "sam-x_a_flac": "x/a.flac", "sam-a_b": "x/a b.wav",
    }  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(
    names=st.lists(
        st.from_regex(r"[ab](/[ab _.-]{0,2}[ab])?", fullmatch=True), min_size=1, max_size=8, unique=True
    )
)
def test_ids_are_unique_and_do_not_depend_on_the_order(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("ids")

    def ids(order):
        (folder / "t.csv").write_text(
            "\n".join(["path,emotion", *(f"{name}.wav,calm" for name in order), ""])
        )
        try:
            return {clip.path: clip.utterance for clip in own_csv.read_clips(folder / "t.csv", folder)}
        except UserError as error:
            assert "the same id as on line" in str(error)
            return None

    named = ids(names)
    assert named == ids(names[::-1])
    if named:
        assert len(set(named.values())) == len(names)


def test_gender_and_age_of_some(home):
    data = home.prepare(
        rows("emotion,gender,age", emotion, lambda n: ("f", "", "unknown")[n // 2], lambda n: 40 + n)
    )
    data = data["all"]
    assert data.spk2gender == {}
    assert data.trait("gender") == {"ann-1": "f", "ann-2": "f"}
    assert data.tables["utt2age"]["cem-2"] == "45"
    once = rows("emotion,gender", emotion, lambda n: "m" if n % 2 else "")
    assert home.prepare(once)["all"].spk2gender == {"ann": "m", "bob": "m", "cem": "m"}


def test_rows_without_a_label(home, caplog):
    data = home.prepare(rows("emotion", lambda n: "" if n == 3 else emotion(n)))["all"]
    assert len(data.classes_of()) == 5
    assert data.labels.complete == []
    assert "all: no emotion of 1 utterance: bob-2" in caplog.text


def test_text_is_of_all_rows_or_of_none(home, caplog):
    data = home.prepare(rows("emotion,text", emotion, lambda n: "" if n == 2 else "yes"))["all"]
    assert "text" not in data.tables
    assert f"{home.table}:4: no text in 1 row, so all text is left out" in caplog.text


def test_columns_that_are_not_read_are_told(home, caplog):
    home.prepare(rows("emotion,Valance,notes", emotion, 3, "x"))
    assert "the column Valance is not read; valence is" in caplog.text
    assert "the column notes is not read\n" in caplog.text


def test_listed_and_absent(home, caplog):
    (home.audio / "bob/2.wav").unlink()
    text = rows("emotion,split", emotion, lambda n: ("train", "valid", "test")[n // 2])
    message = home.refuse(text)
    assert (
        "A: partial copy, 1 of 6 files that the labels list are missing: bob/2.wav. Complete the copy"
        in message
    )
    assert "Paths in T start from A (--db-root)" in message
    sets = home.prepare(text, "--allow-partial")
    assert {name: data.labels.partial for name, data in sets.items()} == {
        "train": False, "validation": True, "test": False,
    }  # fmt: skip
    assert sets["validation"].labels.expected["utterances"] == 2
    assert sets["validation"].utterances == ["bob-1"]


def test_a_set_of_which_nothing_is_there(home):
    (home.audio / "bob/1.wav").unlink()
    (home.audio / "bob/2.wav").unlink()
    text = rows("emotion,split", emotion, lambda n: ("train", "valid", "test")[n // 2])
    assert "no file of the set validation is there" in home.refuse(text, "--allow-partial")


def test_present_and_unlisted(home, caplog):
    assert len(home.prepare(rows("emotion", emotion, files=FILES[:4]))["all"].utterances) == 4
    assert "2 clips in no label file, left out: cem/1.wav, cem/2.wav" in caplog.text


def test_sets_that_a_recipe_would_miss_are_told(home, caplog):
    home.prepare(rows("emotion,split", emotion, lambda n: ("train", "test")[n // 3]))
    assert "no validation set: recipes want train, validation and a test set" in caplog.text
    caplog.clear()
    home.prepare(rows("emotion,split", emotion, "test"))
    assert "no train and no validation set" in caplog.text


def test_broken_audio_is_named(home):
    (home.audio / "ann/2.wav").write_bytes(b"RIFF")
    assert "1 of 6 audio files are broken: A/ann/2.wav" in home.refuse(rows("emotion", emotion))


def test_any_format_and_rate(home):
    soundfile.write(home.audio / "ann/1.wav", [[0.1, 0.2]] * 22050, 44100)
    assert home.prepare(rows("emotion", emotion))["all"].durations()["ann-1"] == 0.5


BAD_ROWS = [
    ("../x.wav,a,sad", "T:8: a path that leads out of the corpus's folder: '../x.wav'"),
    ("/etc/passwd,a,sad", "T:8: a path that leads out of the corpus's folder"),
    (",a,sad", "T:8: empty path"),
    ("ann/2.wav,ann,angry", "T:8: the file is listed twice, first on line 3: 'ann/2.wav'"),
    ("./ann//2.wav,ann,angry", "T:8: the file is listed twice, first on line 3"),
    ("ann/2.wav,ann,sad", "T:8: emotion is 'sad' here and 'angry' on line 3, of one file: 'ann/2.wav'"),
    ("d.wav,a,sad,x", "T:8: 4 cells, and the header has 3"),
    ("d.wav,a", "T:8: 2 cells, and the header has 3"),
    ("d.wav,a,Sad", "T:8: one emotion in two spellings, sad on line 2: 'Sad'"),
    ("d.wav,-,sad", "T:8: speaker: a name without a letter or digit: '-'"),
    ("d.wav,a,?", "T:8: emotion: a name without a letter or digit: '?'"),
    ("???.wav,a,sad", "T:8: a name without a letter or digit: '???.wav'. Give it a word in the column id"),
    ("d.wav,Ann,sad\ne.wav,A nn,sad\nf.wav,A-nn,sad", "T:10: two names of speakers that are one id"),
]


@pytest.mark.parametrize(("row", "complaint"), BAD_ROWS)
def test_a_bad_row_is_refused_with_its_line(home, row, complaint):
    assert complaint in home.refuse(rows("emotion", emotion) + row + "\n")


BAD_CELLS = [
    ("split", "holdout", "T:2: unknown split: 'holdout'. Known: train, training, validation"),
    ("split", "", "T:2: empty split"),
    ("gender", "x", "T:2: unknown gender: 'x'"),
    ("age", "0", "T:2: no age in years: '0'"),
    ("age", "old", "T:2: age is not a number: 'old'"),
    ("turn", "1", "T:2: a turn without a dialogue: '1'"),
    ("dialogue,turn", "d,1.5", "T:2: turn is not a whole number: '1.5'"),
    ("dialogue,turn", "d,1", "T:3: a second turn 1 of dialogue d (the first is on line 2)"),
    ("gender", lambda n: "mf"[n % 2], "T:3: gender of ann is m on line 2: 'f'"),
    ("id", lambda n: "one" if n < 2 else n, "T:3: the same id as on line 2, ann-one: 'one'"),
]


@pytest.mark.parametrize(("column", "cell", "complaint"), BAD_CELLS)
def test_a_bad_cell_is_refused_with_its_line(home, column, cell, complaint):
    assert complaint in home.refuse(rows(f"emotion,{column}", emotion, cell))


@pytest.mark.parametrize("value", ["0.9", "6", "nan", "high"])
def test_an_attribute_off_its_scale_is_refused_with_its_line(home, value):
    message = home.refuse(rows("arousal", lambda n: value if n == 4 else 3), "--range", "arousal=1:5")
    assert message.startswith("T:6: arousal is ")
    assert f"'{value}'" in message


BAD_OPTIONS = [
    ("emotion,arousal", (), "T:1: the range of arousal is not known. Say on which scale"),
    ("emotion", ("--range", "valence=1:5"), "--range of a column that the table does not have: 'valence'"),
    ("arousal", ("--range", "arousal=5:1"), "--range is not understood: 'arousal=5:1'"),
    ("arousal", ("--range", "arousal=1-5"), "--range is not understood: 'arousal=1-5'"),
    ("arousal", ("--range", "arousal=1:inf"), "--range is not understood"),
    ("arousal", ("--range", "activation=1:5"), "--range is not understood: 'activation=1:5'"),
    ("emotion", ("--classes", "2,3"), "T:2: emotion is none of --classes: '1'. --classes has 2, 3"),
    ("arousal", ("--range", "arousal=1:5", "--classes", "a"), "--classes of a table without emotions"),
    ("emotion", ("--folds", "4"), "3 speakers cannot be put into folds: '4'"),
    ("emotion", ("--folds", "1"), "3 speakers cannot be put into folds: '1'"),
    ("emotion,split", ("--folds", "2"), "--folds is for tables without a column split"),
    ("text", (), "T:1: no column of labels. Add one of the columns emotion, arousal"),
    ("emotion,emotion", (), "T:1: two columns of one name: 'emotion'"),
]


@pytest.mark.parametrize(("header", "options", "complaint"), BAD_OPTIONS)
def test_options_and_columns_that_do_not_fit(home, header, options, complaint):
    cells = {"emotion": 1, "arousal": 1, "split": "train", "text": "x"}
    assert complaint in home.refuse(rows(header, *(cells[name] for name in header.split(","))), *options)


def test_a_table_without_paths_and_no_table(home, tmp_path):
    assert "T:1: lacks the column path. It has file, emotion" in home.refuse("file,emotion\na.wav,sad\n")
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        main(["csv", str(tmp_path / "none.csv"), "--out", str(tmp_path / "data")])
    with pytest.raises(UserError, match="--db-root is no folder"):
        main(["csv", str(home.table), "--db-root", str(tmp_path / "none")])


def test_a_circle_of_links_below_the_root(home):
    (home.audio / "ann" / "round").symlink_to("..")
    assert "symbolic links lead round in a circle" in home.refuse(rows("emotion", emotion))


def test_nothing_is_written_when_one_set_is_wrong(home):
    """Kaldi reserves a word that only the last set has."""
    text = rows(
        "emotion,split,text",
        emotion,
        lambda n: ("train", "dev", "test")[n // 2],
        lambda n: f"<{'s' * (n // 4)}>",
    )
    assert "holds a word that Kaldi reserves" in home.refuse(text)
