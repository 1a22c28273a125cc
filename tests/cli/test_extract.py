"""``ser extract`` as it is typed."""

import re

import numpy as np
import pytest
import soundfile

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema


@pytest.fixture
def data(tmp_path):
    generator, wav_scp, utt2spk = np.random.default_rng(0), {}, {}
    (tmp_path / "audio").mkdir()
    for index in range(12):
        name = f"s{index % 3}-u{index:02d}"
        path = tmp_path / "audio" / f"{name}.wav"
        soundfile.write(path, 0.1 * generator.standard_normal(8000 + 700 * index), 16000)
        wav_scp[name], utt2spk[name] = str(path), f"s{index % 3}"
    schema = LabelSchema(corpus="noise", release="1", licence="CC0-1.0")
    DataDir(tmp_path, schema, {"utt2spk": utt2spk}, {"wav.scp": wav_scp}).write(tmp_path / "data")
    return str(tmp_path / "data")


def test_one_process_does_it_all(data, tmp_path, capsys):
    feats = tmp_path / "feats"
    dispatch(["extract", data, str(feats), "--upstream", "mfcc", "--frames-layers", "0"])
    assert ArkReader(feats / "pooled_mean.scp")["s0-u00"].shape == (1, 39)
    assert ArkReader(feats / "frames_layer0.scp")["s0-u00"].shape == (1 + (8000 - 400) // 160, 39)
    assert re.search(r"progress mfcc data: 100 %, .* left", capsys.readouterr().err)


def test_jobs_and_combine(data, tmp_path):
    feats = str(tmp_path / "feats")
    common = ["extract", data, feats, "--upstream", "fbank", "--nj", "2"]
    dispatch([*common, "--job", "1", "--batch-seconds", "1"])
    with pytest.raises(UserError, match="shards have not been extracted"):
        dispatch([*common, "--combine", "--batch-seconds", "1"])
    dispatch([*common, "--job", "2", "--batch-seconds", "1"])
    dispatch([*common, "--combine", "--batch-seconds", "1"])
    assert len(ArkReader(f"{feats}/pooled_std.scp")) == 12
    assert read_json(f"{feats}/timing.json")["jobs"] == 2


def test_probe_prints_the_difference_and_says_by_its_exit_code(data, capsys, monkeypatch):
    for arguments in ([], [data]):
        with pytest.raises(SystemExit) as done:
            dispatch(["extract", "--probe", "--upstream", "mfcc", *arguments])
        printed = capsys.readouterr().out
        assert done.value.code == 0
        assert re.search(r"frame rate +100 Hz", printed) and re.search(r"layers +1\n", printed)
        assert re.search(r"difference +0\.0e\+00 .* exact \(limit 1e-05\)", printed)
    monkeypatch.setattr("ser.upstream.probe.relative_difference", lambda *_: 1e-3)
    with pytest.raises(SystemExit) as done:
        dispatch(["extract", "--probe", "--upstream", "mfcc"])
    assert done.value.code == 1
    assert "NOT exact" in capsys.readouterr().out


def test_tag(capsys):
    dispatch(["extract", "--tag", "--upstream", "hf:models/whisper-base", "--whisper-context", "30s"])
    assert capsys.readouterr().out == "whisper-base-30s\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA", "f"], "no upstream.*--upstream"),
        (["DATA", "--upstream", "fbank"], "folder for the features"),
        (["DATA", "f", "--upstream", "fbamk"], "no such upstream: 'fbamk'"),
        (["DATA", "f", "--upstream", "fbank", "--job", "3", "--nj", "2"], "no job 3 of 2"),
        (["DATA", "f", "--upstream", "fbank", "--frames-layers", "0;1"], "layers are numbers"),
        (["DATA", "f", "--upstream", "fbank", "--frames-layers", "1"], "layers 0 to 0: '1'"),
        (["DATA", "f", "--upstream", "fbank", "--batch-seconds", "-3"], "positive number of seconds"),
        (["DATA", "f", "--upstream", "fbank", "--whisper-context", "30s"], "is Whisper's"),
        (["no/such", "f", "--upstream", "fbank"], "no/such: no such data directory"),
        (["DATA", "f", "--upstream", "fbank", "--skip-brokn"], "nearest known name is 'skip-broken'"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        dispatch(["extract", *(data if argument == "DATA" else argument for argument in arguments)])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "f").exists()
