"""Units: exact assignment, samples that no order changes, planted clusters found, folders that stay whole."""

import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import torchaudio.compliance.kaldi as kaldi
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits
from torchaudio.functional import compute_deltas

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader, ArkWriter
from ser.papt.corpus import Units
from ser.papt.frame_sample import FrameSample
from ser.papt.frames import load_sets
from ser.papt.kmeans import KMeans, fit_kmeans
from ser.papt.unit_quality import UnitQuality
from ser.papt.units import UnitsConfig, convert_units, label_units, make_units
from ser.upstream import load_upstream
from tests.papt.frame_sets import DIM, K, planted, write_set

CONFIG = UnitsConfig(clusters=K, sample_frames=300)


def build(folder: Path, out: Path, names=("train", "test"), config=CONFIG, **meta) -> dict[str, UnitQuality]:
    written = [write_set(folder, name, **meta) for name in names]
    sets = load_sets([each[0] for each in written], [each[1] for each in written], 3)
    return make_units(sets, sets[:1], out, config)


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Content of a folder of units; the scp's path of the ark is its own."""
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(str(folder).encode(), b"")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "quality.json"
    }


@pytest.mark.parametrize(("frames", "dim", "clusters", "offset"), [(500, 8, 5, 0), (20000, 3, 40, 1e3)])
def test_assignment_is_brute_force(frames, dim, clusters, offset):
    rng = np.random.default_rng(frames)
    x = (offset + rng.normal(size=(frames, dim))).astype(np.float32)
    model = KMeans((offset + rng.normal(size=(clusters, dim))).astype(np.float32))
    labels, distances = model.assign(x)
    table = cdist(x.astype(np.float64), model.centroids.astype(np.float64), "sqeuclidean")
    np.testing.assert_array_equal(labels, table.argmin(1))
    np.testing.assert_allclose(distances, table.min(1), rtol=1e-6, atol=1e-9)
    assert labels.dtype == np.int32


def test_equally_near_centroids_are_taken_by_number_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(37, 64)).astype(np.float32)
    model = KMeans(np.concatenate([centroids, centroids[::-1]]))
    x = rng.normal(size=(3000, 64)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(model.assign(x)[0])
    np.testing.assert_array_equal(*found)
    assert found[0].max() < 37


def test_the_sample_depends_on_no_order_and_is_uniform():
    rng = np.random.default_rng(1)
    stream = {f"u{number}": rng.normal(size=(int(rng.integers(1, 90)), 2)) for number in range(200)}

    def drawn(names, capacity, seed=0):
        sample = FrameSample(capacity, seed)
        for name in names:
            sample.add(name, stream[name])
        assert sample.seen == sum(map(len, stream.values()))
        return sample.frames()

    forward, backward = drawn(list(stream), 500), drawn(list(stream)[::-1], 500)
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_array_equal(drawn(list(stream), 300), forward[:300])
    assert not np.array_equal(drawn(list(stream), 500, seed=1), forward)
    everything = drawn(list(stream), 10**6)
    np.testing.assert_array_equal(
        np.sort(everything[:, 0]), np.sort(np.concatenate(list(stream.values()))[:, 0])
    )
    # Of an utterance as many as its share of all frames, within 4 deviations of the binomial.
    longest = max(stream, key=lambda name: len(stream[name]))
    counts = [np.isin(drawn(list(stream), 500, s)[:, 0], stream[longest][:, 0]).sum() for s in range(20)]
    share = len(stream[longest]) / len(everything)
    assert abs(np.sum(counts) - 10000 * share) < 4 * np.sqrt(10000 * share)


def test_planted_clusters_are_recovered(tmp_path: Path):
    found = build(tmp_path, tmp_path / "units")
    for name in ("train", "test"):
        *_, truths = write_set(tmp_path, name)
        units = ArkReader(tmp_path / "units" / name / "units.scp")
        assert sorted(units) == sorted(truths)
        pairs = [(truths[u], units[u]) for u in truths]
        assert all(len(truth) == len(unit) for truth, unit in pairs)
        truth, unit = (np.concatenate(side) for side in zip(*pairs, strict=True))
        assert adjusted_rand_score(truth, unit) > 0.99
        assert found[name].used == K
        assert found[name].entropy == pytest.approx(entropy(np.bincount(truth), base=2), abs=1e-9)
        # Deviation 1 about each centre in every dimension, and centroids that come of 50 frames each.
        assert found[name].inertia == pytest.approx(DIM, rel=0.1)


def test_quality_by_hand_and_by_scipy():
    labels = [np.array([0, 0, 1, 1, 1, 3]), np.array([3, 3, 3]), np.array([0])]
    quality = UnitQuality.empty(5)
    for each in labels:
        quality.add(each, np.full(len(each), 0.5))
    counts = [3, 3, 0, 4, 0]
    assert quality.counts.tolist() == counts
    assert quality.entropy == pytest.approx(entropy(counts, base=2))
    assert quality.perplexity == pytest.approx(np.exp(entropy(counts)))
    assert (quality.used, quality.frames, quality.inertia) == (3, 10, 0.5)
    assert quality.mean_run == pytest.approx(10 / 5)  # 00 111 3 | 333 | 0
    one = UnitQuality.empty(5)
    one.add(labels[0], np.zeros(6))
    assert (one + one).frames == 12 and (one + one).entropy == pytest.approx(one.entropy)
    again = UnitQuality.from_plain(quality.to_plain())
    assert again.figures() == quality.figures()
    constant = UnitQuality.empty(3)
    constant.add(np.zeros(4, np.int32), np.zeros(4))
    assert (constant.entropy, constant.perplexity, constant.mean_run) == (0, 1, 4)


def test_same_seed_same_bytes_on_any_number_of_threads(tmp_path: Path):
    outs = [tmp_path / name / "units" for name in ("one", "two", "three")]
    for threads, out in zip((1, 2, 2), outs, strict=True):
        with threadpool_limits(threads):
            build(tmp_path, out, config=CONFIG if out != outs[2] else UnitsConfig(K, 300, seed=1))
    assert folder_bytes(outs[0]) == folder_bytes(outs[1])
    assert folder_bytes(outs[0]) != folder_bytes(outs[2])


def test_what_was_interrupted_goes_on_and_equals_the_whole(tmp_path: Path):
    whole, out = tmp_path / "a" / "units", tmp_path / "b" / "units"
    build(tmp_path, whole)
    build(tmp_path, out)
    (out / "meta.yaml").unlink()  # killed while the second set was labelled
    (out / "test" / "units.scp").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.parent.name != "test"}
    build(tmp_path, out)
    assert folder_bytes(out) == folder_bytes(whole)
    for path in (out / "centroids.safetensors", out / "train" / "units.ark"):
        assert path.stat().st_mtime_ns == stamps[path]
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    build(tmp_path, out)
    assert done == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_other_clusters_take_the_old_units_away(tmp_path: Path):
    out = tmp_path / "units"
    build(tmp_path, out)
    build(tmp_path, out, names=["train"], config=UnitsConfig(clusters=4, sample_frames=300))
    assert read_yaml(out / "meta.yaml")["clusters"] == 4
    assert not (out / "test" / "units.scp").exists()
    assert max(max(units) for units in ArkReader(out / "train" / "units.scp").values()) == 3


def test_further_sets_get_the_same_centroids(tmp_path: Path):
    build(tmp_path, tmp_path / "both")
    build(tmp_path, tmp_path / "one", names=["train"])
    sets = load_sets(*([each] for each in write_set(tmp_path, "test")[:2]), 3)
    for out in (tmp_path / "one", tmp_path / "other"):
        label_units(sets, tmp_path / "one", out)
        expected, found = (ArkReader(folder / "test" / "units.scp") for folder in (tmp_path / "both", out))
        assert all(np.array_equal(expected[u], found[u]) for u in expected)
        # PAPT takes units of two folders together when their meta.yaml are the same file.
        assert (out / "meta.yaml").read_bytes() == (tmp_path / "both" / "meta.yaml").read_bytes()


def test_papt_reads_them(tmp_path: Path):
    build(tmp_path, tmp_path / "units", frame_rate=100.0)
    units = Units(tmp_path / "units" / "train", 50.0)
    assert units.clusters == K
    name = next(iter(units.reader))
    np.testing.assert_array_equal(units[name], units.reader[name][::2])


def test_a_released_model_is_converted_on_the_users_word(tmp_path: Path):
    data, feats, _ = write_set(tmp_path, "train")
    frames, _ = planted(np.random.default_rng(3), 500)
    released = MiniBatchKMeans(K, n_init=3, random_state=0).fit(frames)
    joblib.dump(released, tmp_path / "km.bin")
    out = tmp_path / "units"
    with pytest.raises(UserError, match=r"runs whatever code.*--allow-pickle"):
        convert_units(tmp_path / "km.bin", out, allow_pickle=False)
    assert not out.exists()
    convert_units(tmp_path / "km.bin", out, allow_pickle=True, layer=3)
    label_units(load_sets([data], [feats], 3), out, out)
    units = ArkReader(out / "train" / "units.scp")
    for utterance, expected in ArkReader(feats / "frames_layer3.scp").items():
        np.testing.assert_array_equal(units[utterance], released.predict(expected))
    meta = read_yaml(out / "meta.yaml")
    assert (meta["clusters"], meta["frame_rate"], meta["tag"]) == (K, 50.0, "toy")
    assert meta["converted_from"]["file"] == "km.bin"
    other = load_sets(*([each] for each in write_set(tmp_path / "b", "test", checkpoint="xyz")[:2]), 3)
    with pytest.raises(UserError, match="another checkpoint"):
        label_units(other, out, out)


@pytest.mark.parametrize("content", [b"no pickle", joblib.hash("x").encode(), None])
def test_what_is_no_kmeans_is_not_converted(tmp_path: Path, content: bytes | None):
    path = tmp_path / "km.bin"
    joblib.dump({"a": 1}, path) if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match="no k-means model of scikit-learn"):
        convert_units(path, tmp_path / "units", allow_pickle=True)
    assert not (tmp_path / "units").exists()


@pytest.mark.parametrize(
    ("meta", "what"),
    [
        ({"checkpoint": "other"}, "checkpoint"),
        ({"checkpoint": None, "tag": "x"}, "checkpoint"),
        ({"frame_rate": 100.0}, "frame_rate"),
        ({"context": "30 s"}, "context"),
    ],
)
def test_frames_of_another_source_are_refused(tmp_path: Path, meta: dict, what: str):
    build(tmp_path, tmp_path / "units", names=["train"])
    sets = load_sets(*([each] for each in write_set(tmp_path / "b", "test", **meta)[:2]), 3)
    with pytest.raises(UserError, match=f"another {what} than the centroids"):
        label_units(sets, tmp_path / "units", tmp_path / "units")
    train = write_set(tmp_path, "train")
    test = write_set(tmp_path / "b", "test", **meta)
    with pytest.raises(UserError, match=f"another {what}"):
        load_sets([train[0], test[0]], [train[1], test[1]], 3)


def test_frames_of_another_layer_or_tag_are_refused(tmp_path: Path):
    build(tmp_path, tmp_path / "units", names=["train"], checkpoint=None)
    for options, layer, what in (({"layer": 2}, 2, "layer"), ({"tag": "mel"}, 3, "tag")):
        written = write_set(tmp_path / what, "test", **{"checkpoint": None, **options})
        with pytest.raises(UserError, match=f"another {what}"):
            label_units(load_sets([written[0]], [written[1]], layer), tmp_path / "units", tmp_path / "units")


def test_frames_that_are_not_finite_are_named_and_nothing_is_left(tmp_path: Path):
    data, feats, _ = write_set(tmp_path, "train")
    frames = dict(ArkReader(feats / "frames_layer3.scp"))
    broken = sorted(frames)[2]
    with ArkWriter(feats / "frames_layer3") as writer:
        for utterance, values in frames.items():
            writer.write(utterance, values)
    ark = (feats / "frames_layer3.ark").read_bytes()
    value = frames[broken][7, 0].tobytes()
    assert ark.count(value) == 1
    (feats / "frames_layer3.ark").write_bytes(ark.replace(value, np.float32("nan").tobytes()))
    sets = load_sets([data], [feats], 3)
    with pytest.raises(UserError, match=f"frame 7 of '{broken}' is not finite"):
        make_units(sets, sets, tmp_path / "units", CONFIG)
    assert not (tmp_path / "units").exists()


def test_too_few_frames_and_utterances_twice(tmp_path: Path):
    with pytest.raises(UserError, match="300 frames for 301 clusters"):
        build(tmp_path, tmp_path / "units", config=UnitsConfig(clusters=301, sample_frames=300))
    data, feats, _ = write_set(tmp_path, "train")
    shutil.copytree(data, tmp_path / "data" / "copy")
    sets = load_sets([data, tmp_path / "data" / "copy"], [feats, feats], 3)
    with pytest.raises(UserError, match="in two of the sets to fit on"):
        make_units(sets, sets, tmp_path / "units", CONFIG)
    assert not (tmp_path / "units").exists()


def test_a_set_without_frames_is_named(tmp_path: Path):
    data, feats, _ = write_set(tmp_path, "train")
    with pytest.raises(UserError, match=r"no frames of layer 2.*--frames-layers 2"):
        load_sets([data], [feats], 2)
    lines = (feats / "frames_layer3.scp").read_text().splitlines(keepends=True)
    (feats / "frames_layer3.scp").write_text("".join(lines[1:]))
    with pytest.raises(
        UserError, match=f"1 utterance of .* without frames, the first: '{lines[0].split()[0]}'"
    ):
        load_sets([data], [feats], 3)


def test_fewer_distinct_frames_than_clusters_are_told_by_the_clusters_used():
    frames = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    model = fit_kmeans(frames, 5, 0)
    assert len(set(model.assign(frames)[0])) == 3
    assert model.assign(frames)[1].max() < 1e-9


def test_mfcc_is_huberts():
    """The upstream ``mfcc`` gives what HuBERT's first units are made of: 13 coefficients, two deltas."""
    wave = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16000)).astype(np.float32))
    found = load_upstream("mfcc")(wave, torch.tensor([16000])).layers[0][0]
    # fairseq's examples/hubert/simple_kmeans/dump_mfcc_feature.py
    cepstra = kaldi.mfcc(wave, sample_frequency=16000, use_energy=False).T
    deltas = compute_deltas(cepstra)
    expected = torch.cat([cepstra, deltas, compute_deltas(deltas)]).T
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
