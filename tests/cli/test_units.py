"""``ser units`` from the command line: what it prints, and mistakes as one line."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.cluster import KMeans

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader
from tests.papt.frame_sets import DIM, write_set


def run(*argv: object) -> None:
    dispatch(["units", *map(str, argv)])


def test_fit_on_one_label_all_then_another(tmp_path: Path, capsys: pytest.CaptureFixture):
    (train, train_feats, _), (test, test_feats, _) = (write_set(tmp_path, name) for name in ("train", "test"))
    out = tmp_path / "units"
    run(test, train, "--feats", test_feats, train_feats, "--layer", 3, "--clusters", 6,
        "--fit-on", train, "--sample-frames", 200, "--out", out)  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["set", "frames", "inertia", "used"]
    assert [line.split()[0] for line in lines[1:]] == ["test", "train"]
    assert all(line.split()[3] == "6/6" for line in lines[1:])
    meta = read_yaml(out / "meta.yaml")
    assert meta["fitted_on"] == ["train"] and meta["sample_frames"] == 200 and meta["seed"] == 0
    assert meta["frames"] == int(lines[2].split()[1])
    extra, extra_feats, _ = write_set(tmp_path, "extra")
    run(extra, "--feats", extra_feats, "--layer", 3, "--init-from", out, "--out", out)
    assert len(ArkReader(out / "extra" / "units.scp")) == 6


def test_convert_and_label(tmp_path: Path, capsys: pytest.CaptureFixture):
    data, feats, _ = write_set(tmp_path, "train")
    points = np.random.default_rng(0).normal(size=(50, DIM))
    joblib.dump(KMeans(4, n_init=1, random_state=0).fit(points), tmp_path / "km.bin")
    run("--convert", tmp_path / "km.bin", "--allow-pickle", "--out", tmp_path / "units")
    assert "4 centroids of width 8" in capsys.readouterr().out
    run(data, "--feats", feats, "--layer", 3, "--init-from", tmp_path / "units", "--out", tmp_path / "b")
    assert read_yaml(tmp_path / "b" / "meta.yaml")["layer"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{data}", "--feats", "{feats}"], "no layer. Give --layer, or --mfcc"),
        (["{data}", "--feats", "{feats}", "--mfcc", "--layer", "3"], "--mfcc has layer 0 alone"),
        (["{data}", "--layer", "3"], "1 data directories and 0 folders of features"),
        (["--layer", "3"], "0 data directories"),
        (["{data}", "--feats", "{feats}", "--layer", "9"], "has layers 0 to 4: '9'"),
        (
            ["{data}", "--feats", "{feats}", "--layer", "3", "--clusters", "1"],
            "--clusters must be at least 2",
        ),
        (["{data}", "--feats", "{feats}", "--layer", "3", "--clusters", "9999"], "frames for 9999 clusters"),
        (["{data}", "--feats", "{feats}", "--layer", "3", "--fit-on", "x"], "--fit-on names a directory"),
        (["{data}", "{data}", "--feats", "{feats}", "{feats}", "--layer", "3"], "two sets of one name"),
        (["{data}", "--feats", "{feats}", "--layer", "3", "--init-from", "no"], "no such centroids"),
        (["{data}", "--feats", "{feats}", "--init-from", "no", "--seed", "1"], "an option of fitting"),
        (["{data}", "--convert", "km.bin"], "--convert makes centroids and nothing else"),
        (["--convert", "km.bin"], "no such file"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], message: str):
    data, feats, _ = write_set(tmp_path, "train")
    arguments = [each.format(data=data, feats=feats) for each in arguments]
    with pytest.raises(UserError) as caught:
        run(*arguments, "--out", tmp_path / "units")
    assert message in str(caught.value)
    assert not (tmp_path / "units").exists()


def test_features_of_another_upstream_are_no_mfcc(tmp_path: Path):
    data, feats, _ = write_set(tmp_path, "train", layer=0)
    with pytest.raises(UserError, match="no features of MFCC: 'toy'"):
        run(data, "--feats", feats, "--mfcc", "--out", tmp_path / "units")
