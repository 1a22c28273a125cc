"""Every release's layout says the same, and which release a copy is."""

import json
import shutil
from collections import Counter

import pytest

from ser.core.errors import UserError
from ser.corpora import msp_podcast
from ser.corpora.msp_podcast import releases
from ser.data.report import validate
from tests.corpora.msp_podcast.copies import LABELLED, clip, prepare
from tests.fixtures import msp_podcast as fixture


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


@pytest.mark.parametrize("release", ["1.3", "1.6", "1.11", "2.0"])
def test_files_saved_on_windows_say_the_same(trees, tmp_path, release, caplog):
    fixture.build(tmp_path / "windows", release=release, windows=True)
    found = msp_podcast.read(tmp_path / "windows", allow_partial=True)
    reference = msp_podcast.read(trees(release), allow_partial=True)
    for name in LABELLED:
        for table in ("utt2spk", "utt2emo", "utt2valence", "utt2emodist", "text"):
            assert found[name].tables[table] == reference[name].tables[table]
    assert "train: 8 transcripts in Windows-1252" in caplog.text


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
