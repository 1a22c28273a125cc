"""MSP-Podcast as a whole: every release's layout, speakers, sets, protocols, partial and damaged copies."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.corpora import msp_podcast
from ser.corpora.msp_podcast import protocols, releases
from ser.corpora.msp_podcast.labels import Label
from ser.corpora.msp_podcast.speakers import gender_tables, speaker_ids
from ser.data.datadir import DataDir
from ser.data.report import validate
from ser.data.speakers import is_known
from tests.fixtures import msp_podcast as fixture

LABELLED = ["train", "validation", "test1", "test2"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Trees by release, built when asked for."""
    made: dict[str, Path] = {}

    def of(release: str) -> Path:
        if release not in made:
            made[release] = tmp_path_factory.mktemp("msp") / release
            fixture.build(made[release], release=release)
        return made[release]

    return of


@pytest.fixture
def tree(trees, tmp_path):
    """A copy of the newest tree, to be damaged."""
    return Path(shutil.copytree(trees("2.0"), tmp_path / "corpus"))


def prepare(root, out, *options):
    """As ``ser prepare msp_podcast`` does it, on a copy that is known to be partial."""
    parser = Parser(prog="prepare")
    msp_podcast.add_arguments(parser)
    words = ["--db-root", str(root), "--out", str(out), "--allow-partial", *options]
    msp_podcast.prepare(parser.parse_args(words))
    return {path.name: DataDir.load(path) for path in sorted(Path(out).iterdir())}


def edit(path, old, new, count=1):
    """Replace text in a file that has it."""
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, count).encode())


def clip(letter=None, set="Train", known=True):
    """The first clip of the fixture with these traits."""
    return next(
        c for c in fixture.clips() if c.set == set and letter in (None, c.letter) and bool(c.speaker) == known
    )


@pytest.mark.parametrize("release", ["1.3", "1.6", "1.8", "1.11", "2.0"])
def test_every_release_says_the_same(trees, tmp_path, release):
    data = prepare(trees(release), tmp_path / "data")
    assert sorted(data) == sorted([*LABELLED, "test3"] if release in ("1.11", "2.0") else LABELLED)
    reference = msp_podcast.read(trees("2.0"), allow_partial=True)
    for name in LABELLED:
        assert validate(tmp_path / "data" / name) == []
        for table in (
            "utt2spk",
            "utt2emo",
            "utt2arousal",
            "utt2dominance",
            "utt2emodist",
            "utt2orig",
            "text",
        ):
            assert data[name].tables[table] == dict(sorted(reference[name].tables[table].items())), table
        assert data[name].labels.release == release


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


def test_test3_has_audio_alone(trees, tmp_path):
    test3 = prepare(trees("2.0"), tmp_path)["test3"]
    assert set(test3.tables) == {"utt2spk", "utt2orig", "utt2dur"}
    assert test3.speakers == {}
    assert not any(map(is_known, test3.spk2utt))
    assert len(test3.spk2utt) == len(test3.utterances) == 9
    assert test3.labels.classes == DataDir.load(tmp_path / "train").labels.classes
    assert all(name.startswith("MSP-PODCAST_test3_") for name in test3.tables["utt2orig"].values())


def test_test3_that_no_file_lists_is_known_by_its_name(tree, tmp_path):
    path = tree / "Partitions.txt"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("Test3")]
    path.write_text("\n".join([*kept, ""]))
    assert len(prepare(tree, tmp_path / "data")["test3"].utterances) == 9


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


@pytest.mark.parametrize("protocol", ["odyssey2024", "is2025"])
def test_challenges_leave_test1_and_test2_out(trees, tmp_path, protocol):
    assert sorted(prepare(trees("2.0"), tmp_path, "--protocol", protocol)) == ["test3", "train", "validation"]


def test_a_set_that_the_release_lacks_is_named(trees, tmp_path):
    with pytest.raises(UserError, match=r"no set: 'test3'\. It has train validation test1 test2"):
        prepare(trees("1.8"), tmp_path, "--sets", "train,validation,test1,test3")
    assert list(tmp_path.iterdir()) == []


def test_the_papt_split(trees, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(protocols, "ENROLMENT_SECONDS", 0.7)
    data = prepare(trees("1.6"), tmp_path / "a", "--protocol", "papt")
    assert sorted(data) == ["test-a", "test-b", "train", "validation"]
    test1 = {c.name for c in fixture.clips() if c.set == "Test1"}
    parts = [set(data[name].tables["utt2orig"].values()) for name in ("test-a", "test-b")]
    assert parts[0] | parts[1] == test1
    assert not parts[0] & parts[1]
    assert data["test-a"].spk2utt.keys() == data["test-b"].spk2utt.keys()
    for speaker, utterances in data["test-a"].spk2utt.items():
        seconds = data["test-a"].durations()
        total = sum(seconds[u] for u in utterances)
        assert total >= 0.7, speaker
        assert total - max(seconds[u] for u in utterances) < 0.7
    assert all(map(is_known, data["train"].spk2utt))
    assert data["test-a"].labels.release == "1.6, PAPT split, test-a reconstructed with seed 0"
    again = prepare(trees("1.6"), tmp_path / "b", "--protocol", "papt")
    assert again["test-a"].utterances == data["test-a"].utterances
    other = prepare(trees("1.6"), tmp_path / "c", "--protocol", "papt", "--seed", "1")
    assert other["test-a"].utterances != data["test-a"].utterances


def test_a_list_of_test_a_is_taken(trees, tmp_path):
    names = [c.name for c in fixture.clips() if c.set == "Test1"][::4]
    (tmp_path / "list").write_text("\r\n".join([names[0][:-4], *names[1:]]))
    data = prepare(trees("1.6"), tmp_path / "data", "--protocol", "papt", "--test-a", str(tmp_path / "list"))
    assert set(data["test-a"].tables["utt2orig"].values()) == set(names)
    assert data["test-a"].labels.release == "1.6, PAPT split"
    (tmp_path / "list").write_text(clip().name)
    with pytest.raises(UserError, match="a file that is not in Test1"):
        prepare(trees("1.6"), tmp_path / "data", "--protocol", "papt", "--test-a", str(tmp_path / "list"))


def test_the_last_utterance_of_a_speaker_stays_for_test_b():
    speakers = {"a": "s", "b": "s", "c": "t"}
    chosen = protocols.drawn_enrolment(list(speakers), speakers, dict.fromkeys(speakers, 5.0), 0)
    assert Counter(speakers[name] for name in chosen) == {"s": 1}


def test_a_partial_copy_is_refused_with_what_is_missing(trees, tmp_path):
    with pytest.raises(UserError) as caught:
        msp_podcast.read(trees("1.11"))
    assert "partial copy, release 1.11 by its labels: 48 of 84030 train, 15 of 19815 validation" in str(
        caught.value
    )
    assert "--allow-partial" in str(caught.value)


def test_missing_audio_is_refused_with_the_files(trees, tmp_path):
    tree = Path(shutil.copytree(trees("1.8"), tmp_path / "corpus"))
    for chosen in [c for c in fixture.clips() if c.set == "Test2"][:4]:
        (tree / "Audios" / chosen.name).unlink()
    with pytest.raises(
        UserError, match=r"4 of 94 files that the labels list are missing: Audios/MSP-.* and 1 more"
    ):
        msp_podcast.read(tree)
    data = msp_podcast.read(tree, allow_partial=True)
    assert len(data["test2"].utterances) == 11
    assert data["test2"].labels.partial
    assert not msp_podcast.read(trees("1.8"))["test2"].labels.partial


def test_a_clip_that_is_not_listed_is_told_and_left_out(tree, tmp_path, caplog):
    shutil.copy(tree / "Audios" / clip().name, tree / "Audios" / "MSP-PODCAST_9999_0001.wav")
    data = prepare(tree, tmp_path / "data")
    assert "1 clip in no label file, left out: Audios/MSP-PODCAST_9999_0001.wav" in caplog.text
    assert not any("9999" in utterance for utterance in data["train"].utterances)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("Partitions.txt", "Train; {}", "Test1; {}", r"Partitions.txt:1: contradicts .*where set of"),
        ("Labels/labels.txt", "{}; A;", "{}; S;", r"labels.txt:\d+: contradicts .*where emotion of"),
        ("Labels/labels.txt", "{}; A; A:", "{}; A; A:1", r"labels.txt:1: arousal is no number"),
        ("Speaker_ids.txt", "{};3", "{};77", r"Speaker_ids.txt:\d+: contradicts .*where speaker of"),
        ("Speaker_ids.txt", "Speaker_3; Male", "Speaker_3; Female", "the first of 8 contradictions"),
        ("Labels/labels_consensus.json", '": "A"', '": "S"', r"consensus.json: contradicts .*where emotion"),
    ],
)
def test_label_files_that_contradict_each_other(tree, name, old, new, words):
    first = clip("A").name
    edit(tree / name, old.format(first), new.format(first))
    with pytest.raises(UserError, match=words):
        msp_podcast.read(tree, allow_partial=True)


def test_listed_in_partitions_and_without_labels(trees, tmp_path):
    tree = Path(shutil.copytree(trees("1.8"), tmp_path / "corpus"))
    with (tree / "Partitions.txt").open("a") as stream:
        stream.write("Train; MSP-PODCAST_7777_0001.wav\n")
    with pytest.raises(
        UserError, match=r"1 file of Partitions.txt without labels: MSP-PODCAST_7777_0001.wav"
    ):
        msp_podcast.read(tree)
    assert len(msp_podcast.read(tree, allow_partial=True)["train"].utterances) == 48


def test_audio_in_no_set(trees, tmp_path):
    tree = Path(shutil.copytree(trees("1.3"), tmp_path / "corpus"))
    edit(tree / "Partitions.txt", f"Train; {clip().name}\n", "")
    with pytest.raises(
        UserError, match=rf"labels.txt:1: in no set: {clip().name}.*Split_Set or in Partitions.txt"
    ):
        msp_podcast.read(tree, allow_partial=True)
    (tree / "Partitions.txt").unlink()
    with pytest.raises(UserError, match="which is not there"):
        msp_podcast.read(tree, allow_partial=True)


@pytest.mark.parametrize("release", ["1.3", "1.6", "1.11", "2.0"])
def test_files_saved_on_windows_say_the_same(trees, tmp_path, release, caplog):
    fixture.build(tmp_path / "windows", release=release, windows=True)
    found = msp_podcast.read(tmp_path / "windows", allow_partial=True)
    reference = msp_podcast.read(trees(release), allow_partial=True)
    for name in LABELLED:
        for table in ("utt2spk", "utt2emo", "utt2valence", "utt2emodist", "text"):
            assert found[name].tables[table] == reference[name].tables[table]
    assert "train: 8 transcripts in Windows-1252" in caplog.text


def test_a_missing_transcript_is_told(tree, tmp_path, caplog):
    (tree / "Transcripts" / f"{clip().name[:-4]}.txt").write_text(" \n")
    train = prepare(tree, tmp_path / "data")["train"]
    assert list(train.tables["text"].values()).count("<unk>") == 1
    assert f"train: 1 transcript without words, text is <unk>: {clip().name}" in caplog.text
    shutil.rmtree(tree / "Transcripts")
    assert "text" not in prepare(tree, tmp_path / "data")["train"].tables


def test_a_loop_of_links_is_refused(tree):
    (tree / "Audios" / "again").symlink_to(tree / "Audios")
    with pytest.raises(UserError, match="symbolic links lead round in a circle"):
        msp_podcast.read(tree, allow_partial=True)


def test_broken_audio_is_named(tree):
    path = tree / "Audios" / clip().name
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=rf"1 of 103 audio files are broken: .*{clip().name} \(truncated"):
        msp_podcast.read(tree, allow_partial=True)


def test_the_folder_may_be_the_one_above(trees):
    assert msp_podcast.read(trees("1.8").parent).keys() == set(LABELLED)


def test_csv_is_enough_and_so_is_json(tree):
    for name in ("labels.txt", "labels_consensus.csv", "labels_detailed.csv"):
        (tree / "Labels" / name).unlink()
    (tree / "Speaker_ids.txt").unlink()
    from_json = msp_podcast.read(tree, allow_partial=True)["train"].tables
    assert from_json["utt2emodist"]
    (tree / "Labels" / "labels_consensus.json").unlink()
    with pytest.raises(UserError, match=r"no labels_consensus.csv, labels_consensus.json or labels.txt"):
        msp_podcast.read(tree, allow_partial=True)


def test_an_older_release_out_of_previous_releases_information(tree, trees):
    information = tree / "Previous_releases_information"
    removed = information / "files_removed_from_prev_versions" / "v1.6_removed_files"
    old = information / "previous_releases_info" / "v1.6"
    removed.mkdir(parents=True)
    ignore = shutil.ignore_patterns("Audios", "Transcripts")
    shutil.copytree(trees("1.6"), old, ignore=ignore)
    shutil.move(tree / "Audios" / clip().name, removed / clip().name)
    data = msp_podcast.read(tree, release="1.6")
    assert data.keys() == set(LABELLED)
    assert len(data["train"].utterances) == 48
    [entry] = [path for path in data["train"].wav_scp.values() if path.endswith(clip().name)]
    assert "v1.6_removed_files" in entry


@pytest.mark.parametrize("root", [None, "/no/such/folder", "."])
def test_without_the_corpus_it_says_where_to_get_it(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"academic licence.*ecs\.utdallas\.edu"):
        msp_podcast.read(msp_podcast.CORPUS.find_root(root))


class TestReleases:
    """Which release a copy is."""

    @pytest.mark.parametrize("release", ["1.11", "2.0", "challenge"])
    def test_by_counts(self, tmp_path, release):
        assert releases.which_release(tmp_path, releases.RELEASES[release], None) == release

    @pytest.mark.parametrize("name", ["MSP-PODCAST-Publish-1.11", "msp-podcast_v1.10"])
    def test_by_the_folder(self, tmp_path, name):
        (tmp_path / name).mkdir()
        assert releases.which_release(tmp_path / name, {"train": 3}, None) in name

    def test_by_the_readme_and_by_the_option_which_wins(self, tmp_path):
        (tmp_path / "readme.txt").write_text("Release 1.12 (June 6, 2024)\nRelease 1.11 (2023)")
        assert releases.which_release(tmp_path, {"train": 3}, None) == "1.12"
        assert releases.which_release(tmp_path, {"train": 3}, "1.7") == "1.7"
        with pytest.raises(UserError, match=r"no such release: '1\.13'"):
            releases.which_release(tmp_path, {"train": 3}, "1.13")

    def test_a_release_that_is_not_known_is_told(self, tmp_path, caplog):
        assert releases.which_release(tmp_path, {"train": 3, "test1": 2}, None) == "unknown"
        assert "the release is not known (3 train, 2 test1)" in caplog.text

    def test_counts_as_published(self):
        totals = {name: sum(counts.values()) for name, counts in releases.RELEASES.items() if counts}
        assert totals == {"1.11": 151654, "1.12": 207136, "2.0": 267905, "challenge": 119421}

    @pytest.mark.parametrize("counts", [{"train": 84031}, {"train": 1, "test4": 1}])
    def test_more_than_the_release_is_refused(self, tmp_path, counts):
        with pytest.raises(UserError, match=r"more than the release has, release 1\.11"):
            msp_podcast.check_counts("1.11", counts, tmp_path, True)
        assert not msp_podcast.check_counts("1.9", counts, tmp_path, False)


def test_the_fixture_is_consistent(trees):
    consensus = json.loads((trees("2.0") / "Labels" / "labels_consensus.json").read_text())
    assert len(consensus) == 94
    assert Counter(entry["Split_Set"] for entry in consensus.values()) == {
        "Train": 48, "Development": 15, "Test1": 16, "Test2": 15,
    }  # fmt: skip
    assert {entry["EmoClass"] for entry in consensus.values()} == set("ASHUFDCNOX")
