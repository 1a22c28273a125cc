"""Extraction: the same bytes whatever happened on the way, and nothing dropped in silence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.features.extract import Extraction, ExtractionSettings, prefetch

SETTINGS = ExtractionSettings(frames_layers=(0, 3), batch_seconds=4.0)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a feature folder whose bytes are promised; timings are not."""
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(str(folder).encode(), b"FEATS")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".json"
    }


def extract(data, folder, upstream, settings=SETTINGS, jobs=1):
    extraction = Extraction(data, folder, upstream, settings)
    for job in range(1, jobs + 1):
        Extraction(data, folder, upstream, settings).run(jobs, job)
    extraction.combine()
    return folder


def test_features_are_those_of_each_utterance_alone(data, tiny, tmp_path):
    folder = extract(data, tmp_path / "feats", tiny)
    reader = AudioReader(data)
    names = ("pooled_mean", "pooled_std", "frames_layer0", "frames_layer3")
    tables = {name: ArkReader(folder / f"{name}.scp") for name in names}
    for name in names:
        assert list(tables[name]) == data.utterances
    for utterance in data.utterances:
        wave = torch.from_numpy(reader.read(utterance))[None]
        with torch.inference_mode():
            states = tiny(wave, torch.tensor([wave.shape[1]]))
        frames = np.stack([layer[0].numpy() for layer in states.layers]).astype(np.float64)
        np.testing.assert_allclose(tables["pooled_mean"][utterance], frames.mean(1), atol=1e-5)
        np.testing.assert_allclose(tables["pooled_std"][utterance], frames.std(1), atol=1e-5)
        for layer in (0, 3):
            np.testing.assert_allclose(tables[f"frames_layer{layer}"][utterance], frames[layer], atol=2e-5)


def test_meta_and_timing(data, tiny, tiny_folder, tmp_path):
    folder = extract(data, tmp_path / "feats", tiny)
    meta = read_yaml(folder / "meta.yaml")
    assert meta["upstream"] == f"hf:{tiny_folder}"
    assert (meta["tag"], meta["family"], meta["context"]) == ("tiny-whisper", "whisper", "length")
    assert (meta["layers"], meta["dim"], meta["frame_rate"], meta["sample_rate"]) == (4, 32, 50.0, 16000)
    assert (meta["utterances"], meta["precision"]) == (len(data.utterances), "float32")
    assert meta["checkpoint"] == tiny.info.checkpoint and meta["parameters"] == tiny.info.parameters
    timing = read_json(folder / "timing.json")
    assert timing["audio_seconds"] == pytest.approx(sum(data.durations().values()), abs=0.01)
    assert timing["times_real_time"] == pytest.approx(
        timing["audio_seconds"] / timing["wall_seconds"], rel=0.1
    )
    assert timing["jobs"] == 1 and timing["threads"] == torch.get_num_threads()


@pytest.mark.parametrize("jobs", [2, 3, 50])
def test_any_number_of_jobs_writes_the_same_bytes(data, tiny, tmp_path, jobs):
    one = extract(data, tmp_path / "one", tiny)
    many = extract(data, tmp_path / "many", tiny, jobs=jobs)
    assert contents(one) == contents(many)


KILLED = """
import os, signal, sys
from ser.data.datadir import DataDir
from ser.features import store
from ser.features.extract import Extraction, ExtractionSettings
from ser.upstream import load_upstream
data, feats, model, left = sys.argv[1:]
write, count = store.ShardWriter.write, [int(left)]
def dying_write(self, *arguments):
    write(self, *arguments)
    count[0] -= 1
    if not count[0]:
        os.kill(os.getpid(), signal.SIGKILL)
store.ShardWriter.write = dying_write
settings = ExtractionSettings(frames_layers=(0, 3), batch_seconds=4.0)
Extraction(DataDir.load(data), feats, load_upstream("hf:" + model), settings).run()
"""


def test_killed_and_run_again_equals_uninterrupted(data, tiny, tiny_folder, tmp_path):
    whole, killed = extract(data, tmp_path / "whole", tiny), tmp_path / "killed"
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", KILLED, str(data.path), str(killed), str(tiny_folder), "17"]
    died = subprocess.run(command, check=False, capture_output=True, env=threads, cwd=Path.cwd())
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    shards = next(killed.glob("shards-*"))
    done = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.json")}
    assert 0 < len(done) < len(list(whole.glob("shards-*/*.json")))
    assert list(shards.glob(".writing-*"))
    assert not list(killed.glob("*.scp"))
    extract(data, killed, tiny)
    assert contents(whole) == contents(killed)
    assert all((shards / name).stat().st_mtime_ns == time for name, time in done.items())


def test_what_is_done_is_not_done_again(data, tiny, tmp_path, monkeypatch):
    folder = extract(data, tmp_path / "feats", tiny)
    before = contents(folder)
    monkeypatch.setattr("ser.features.extract.encode", lambda *_: pytest.fail("encoded again"))
    assert contents(extract(data, folder, tiny)) == before


def test_changes_are_noticed_and_old_shards_go(data, tiny, tmp_path):
    folder = extract(data, tmp_path / "feats", tiny)
    first = next(folder.glob("shards-*"))
    extract(data, folder, tiny, ExtractionSettings(batch_seconds=5.0))
    second = next(folder.glob("shards-*"))
    assert first != second and not first.exists()
    assert not list(folder.glob("frames_layer*"))

    wave, _ = soundfile.read(data.wav_scp[data.utterances[0]])
    soundfile.write(data.wav_scp[data.utterances[0]], wave[::-1], 16000)
    old = ArkReader(folder / "pooled_mean.scp")[data.utterances[0]]
    extract(DataDir.load(data.path), folder, tiny, ExtractionSettings(batch_seconds=5.0))
    assert not second.exists()
    assert not np.allclose(old, ArkReader(folder / "pooled_mean.scp")[data.utterances[0]])


def test_no_combining_before_all_jobs_are_done(data, tiny, tmp_path):
    extraction = Extraction(data, tmp_path / "feats", tiny, SETTINGS)
    extraction.run(jobs=2, job=1)
    with pytest.raises(UserError, match=r"\d+ of \d+ shards have not been extracted.*missing jobs"):
        extraction.combine()
    assert not list((tmp_path / "feats").glob("*.scp"))
    assert not (tmp_path / "feats" / "meta.yaml").exists()


def spoil(data: DataDir) -> dict[str, str]:
    """Spoil four utterances, each in another way; return why each is unusable."""
    missing, empty, cut, short = (data.utterances[index] for index in (2, 11, 17, 23))
    Path(data.wav_scp[missing]).unlink()
    Path(data.wav_scp[empty]).write_bytes(b"")
    whole = Path(data.wav_scp[cut]).read_bytes()
    Path(data.wav_scp[cut]).write_bytes(whole[: len(whole) // 2])
    soundfile.write(data.wav_scp[short], np.zeros(100), 16000)
    return {
        missing: "no such audio file",
        empty: "empty",
        cut: "truncated",
        short: "too short for tiny-whisper",
    }


def test_broken_audio_is_named_and_counted_and_stops(data, tiny, tmp_path):
    broken = spoil(data)
    extraction = Extraction(data, tmp_path / "feats", tiny, SETTINGS)
    with pytest.raises(UserError) as caught:
        extraction.run()
    message = str(caught.value)
    assert "4 of 30 utterances cannot be used" in message and "--skip-broken" in message
    for utterance, why in broken.items():
        assert f"'{utterance}'" in message and why in message
    assert not list((tmp_path / "feats").glob("*.scp"))


def test_broken_audio_is_left_out_and_listed_when_asked(data, tiny, tmp_path):
    broken = spoil(data)
    settings = ExtractionSettings(batch_seconds=4.0, skip_broken=True)
    folder = extract(data, tmp_path / "feats", tiny, settings, jobs=2)
    listed = dict(line.split(None, 1) for line in (folder / "broken.txt").read_text().splitlines())
    assert list(listed) == sorted(broken)
    assert all(why in listed[utterance] for utterance, why in broken.items())
    kept = [utterance for utterance in data.utterances if utterance not in broken]
    assert list(ArkReader(folder / "pooled_mean.scp")) == kept
    assert read_yaml(folder / "meta.yaml")["utterances"] == 26
    # What was left out then is not forgotten when the flag is gone.
    with pytest.raises(UserError, match="4 utterances cannot be used"):
        extract(data, folder, tiny, ExtractionSettings(batch_seconds=4.0))


def test_all_audio_broken(data, tiny, tmp_path):
    for path in data.wav_scp.values():
        Path(path).unlink()
    with pytest.raises(UserError, match="no utterance is left"):
        extract(data, tmp_path / "feats", tiny, ExtractionSettings(skip_broken=True))


def test_features_that_are_not_finite_count_as_broken(data, tiny, tmp_path, monkeypatch):
    from ser.features import extract as module

    original = module.encode

    def spoiled(*arguments):
        states = original(*arguments)
        states.layers[1][0, 0, 0] = float("nan")
        return states

    monkeypatch.setattr(module, "encode", spoiled)
    with pytest.raises(UserError, match=r"features of tiny-whisper are not finite"):
        extract(data, tmp_path / "feats", tiny)


def test_what_cannot_be_extracted(data, tiny, tmp_path):
    with pytest.raises(UserError, match="layers 0 to 3: '4'"):
        Extraction(data, tmp_path, tiny, ExtractionSettings(frames_layers=(4,)))
    table = data.path / "wav.scp"
    lines = table.read_text().splitlines()
    lines[0] = lines[0].split()[0] + " touch /tmp/run-by-wav-scp |"
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="is a command, which is not run unasked"):
        Extraction(DataDir.load(data.path), tmp_path, tiny)


def test_durations_that_lie_change_no_features(data, tiny, tmp_path):
    honest = extract(data, tmp_path / "honest", tiny)
    data.tables["utt2dur"] = {utterance: "1.0" for utterance in data.utterances}
    lying = extract(data, tmp_path / "lying", tiny)
    x, y = (ArkReader(folder / "pooled_mean.scp") for folder in (honest, lying))
    for utterance in data.utterances:
        np.testing.assert_allclose(x[utterance], y[utterance], atol=1e-5)


def test_a_vector_an_utterance(data, tmp_path):
    pytest.importorskip("opensmile")
    from ser.upstream import load_upstream

    folder = extract(data, tmp_path / "feats", load_upstream("egemaps"), ExtractionSettings())
    mean, deviation = (ArkReader(folder / f"{name}.scp") for name in ("pooled_mean", "pooled_std"))
    assert mean[data.utterances[0]].shape == (1, 88)
    assert not deviation[data.utterances[0]].any()
    assert yaml.safe_load((folder / "meta.yaml").read_text())["frame_rate"] == 0


def test_prefetch_keeps_order_and_reads_no_further_ahead():
    started = []
    results = prefetch(lambda item: started.append(item) or item * item, range(10), ahead=2)
    assert next(results) == 0
    assert max(started) <= 2
    assert list(results) == [n * n for n in range(1, 10)]

    def fail(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(prefetch(fail, range(3), ahead=2))


def test_means_that_carry_nothing_are_said(data, tmp_path, monkeypatch):
    from ser.upstream import load_upstream

    said = []
    monkeypatch.setattr("ser.features.extract.log.warning", lambda text, *values: said.append(text % values))
    extract(data, tmp_path / "plain", load_upstream("fbank"), ExtractionSettings())
    assert not said
    extract(data, tmp_path / "normalised", load_upstream("s3prl:fbank"), ExtractionSettings())
    assert len(said) == 1 and "pooled means carry nothing" in said[0]
