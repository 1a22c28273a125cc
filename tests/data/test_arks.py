"""Arks: kaldiio reads what is written, whole or not at all; nothing hostile is run or unpickled."""

import os
import pickle

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ser.core.errors import UserError
from ser.data.arks import ArkReader, ArkWriter, combine_scps, read_scp

FLOATS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=2, max_side=6),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)
INTEGERS = hnp.arrays(np.int32, hnp.array_shapes(min_dims=1, max_dims=1, max_side=6))
rng = np.random.default_rng(0)


def write(stem, arrays, **options):
    with ArkWriter(stem, **options) as writer:
        for utterance, array in arrays.items():
            writer.write(utterance, array)


@settings(max_examples=40)
@given(arrays=st.dictionaries(st.sampled_from("abcäöü"), FLOATS | INTEGERS, min_size=1))
def test_round_trip_and_kaldiio(arrays, tmp_path_factory):
    stem = tmp_path_factory.getbasetemp() / "round_trip"
    write(stem, arrays)
    reader = ArkReader(f"{stem}.scp")
    assert list(reader) == sorted(arrays)
    reference = kaldiio.load_scp(f"{stem}.scp")
    for utterance, array in arrays.items():
        assert reader[utterance].dtype == array.dtype
        np.testing.assert_array_equal(reader[utterance], array)
        np.testing.assert_array_equal(reference[utterance], array)
    for utterance, array in kaldiio.load_ark(f"{stem}.ark"):
        np.testing.assert_array_equal(array, arrays[utterance])


def test_same_arrays_same_bytes_and_paths_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = {"b": rng.normal(size=(3, 4)), "a": rng.normal(size=5)}
    for _ in range(2):
        write("feats/x", arrays)
        content = (tmp_path / "feats/x.ark").read_bytes(), (tmp_path / "feats/x.scp").read_bytes()
    write("feats/x", arrays)
    assert ((tmp_path / "feats/x.ark").read_bytes(), (tmp_path / "feats/x.scp").read_bytes()) == content
    assert read_scp("feats/x.scp")["b"] == "feats/x.ark:2"


def test_compression_of_matrices(tmp_path):
    matrix = rng.normal(size=(13, 64)).astype(np.float32)
    write(tmp_path / "c", {"m": matrix, "v": matrix[0], "zero": np.zeros((3, 4))}, compression=3)
    write(tmp_path / "p", {"m": matrix})
    reader = ArkReader(tmp_path / "c.scp")
    np.testing.assert_allclose(reader["m"], matrix, atol=1.01 * np.ptp(matrix) / 131070)
    np.testing.assert_array_equal(reader["v"], matrix[0])
    np.testing.assert_array_equal(reader["zero"], np.zeros((3, 4)))


def test_text_arks_and_doubles_of_other_programs(tmp_path):
    arrays = {"m": np.float32([[1, 2.5], [3, 4]]), "v": np.float32([1.5, 2])}
    kaldiio.save_ark(str(tmp_path / "t.ark"), arrays, scp=str(tmp_path / "t.scp"), text=True)
    doubles = {name: array.astype(np.float64) for name, array in arrays.items()}
    kaldiio.save_ark(str(tmp_path / "d.ark"), doubles, scp=str(tmp_path / "d.scp"))
    for name in ("t", "d"):
        reader = ArkReader(tmp_path / f"{name}.scp")
        for utterance, array in arrays.items():
            np.testing.assert_array_equal(reader[utterance], array)
            assert reader[utterance].dtype == np.float32


def test_load_keeps_the_order_asked_for(tmp_path):
    arrays = {name: rng.normal(size=4).astype(np.float32) for name in "dacb"}
    write(tmp_path / "x", arrays)
    loaded = ArkReader(tmp_path / "x.scp").load(["c", "a", "c"])
    for array, name in zip(loaded, "cac", strict=True):
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(UserError, match="1 utterance missing, the first: 'z'"):
        ArkReader(tmp_path / "x.scp").load(["a", "z"])


def test_reader_survives_pickling_and_arrays_are_writable(tmp_path):
    write(tmp_path / "x", {"a": np.ones(3)})
    reader = ArkReader(tmp_path / "x.scp")
    reader["a"][0] = 7
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader))["a"], np.ones(3))


def test_a_failed_writer_leaves_the_old_pair(tmp_path):
    write(tmp_path / "x", {"a": np.ones(3)})
    with pytest.raises(RuntimeError), ArkWriter(tmp_path / "x") as writer:
        writer.write("a", np.zeros(3))
        raise RuntimeError
    np.testing.assert_array_equal(ArkReader(tmp_path / "x.scp")["a"], np.ones(3))
    assert sorted(os.listdir(tmp_path)) == ["x.ark", "x.scp"]


def test_a_kill_between_the_two_files_leaves_no_scp(tmp_path, monkeypatch):
    write(tmp_path / "x", {"a": np.ones(3)})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ser.data.arks.write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x", {"b": np.ones(9), "a": np.zeros(3)})
    assert not (tmp_path / "x.scp").exists()


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.float32([1, np.nan]), UserError, "'u' are not finite"),
        (np.float64([1e300]), UserError, "'u' are not finite"),
        (np.int64([2**40]), UserError, "do not fit 32 bits"),
        (np.zeros((0, 4)), UserError, "'u' is empty"),
        (np.zeros((2, 2, 2)), ValueError, "shape"),
        (np.zeros((2, 2), np.int32), ValueError, "no Kaldi array"),
        (np.array(["x"]), ValueError, "no Kaldi array"),
    ],
)
def test_arrays_that_are_refused(tmp_path, array, error, words):
    with pytest.raises(error, match=words):
        write(tmp_path / "x", {"u": array})
    assert os.listdir(tmp_path) == []


def test_duplicates_and_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match="written twice: 'u'"), ArkWriter(tmp_path / "x") as writer:
        writer.write("u", np.ones(2))
        writer.write("u", np.ones(2))
    with pytest.raises(UserError, match="no utterance was written"), ArkWriter(tmp_path / "x"):
        pass
    assert os.listdir(tmp_path) == []


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_pickles_and_pipes_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.ark").write_bytes(b"u PKL" + pickle.dumps(Bomb()))
    (tmp_path / "b.scp").write_text("u b.ark:2\n")
    with pytest.raises(UserError, match=r"b\.scp:1: utterance 'u': b\.ark:2 is a pickled object"):
        ArkReader("b.scp")["u"]
    for entry in ("mkdir exploded |", "| mkdir exploded"):
        (tmp_path / "p.scp").write_text(f"u {entry}\n")
        with pytest.raises(UserError, match=r"p\.scp:1: the entry of 'u' is a command"):
            ArkReader("p.scp")
    assert not (tmp_path / "exploded").exists()
    with pytest.raises(UserError):  # mkdir returns None, which is no matrix; but it was run, as asked
        ArkReader("b.scp", allow_unsafe=True)["u"]
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("length", [0, 3, 10, 16, 40])
def test_truncated_arks_are_named(tmp_path, length):
    write(tmp_path / "x", {"u": np.ones((3, 4))})
    ark = tmp_path / "x.ark"
    ark.write_bytes(ark.read_bytes()[:length])
    with pytest.raises(UserError, match=r"x\.scp:1: utterance 'u'"):
        ArkReader(tmp_path / "x.scp")["u"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [("none.ark:2", "no such ark"), ("x.ark:99999", "utterance 'u'"), ("x.ark:2[0:1]", "ranges")],
)
def test_bad_entries(tmp_path, monkeypatch, entry, words):
    monkeypatch.chdir(tmp_path)
    write("x", {"u": np.ones((3, 4))})
    (tmp_path / "x.scp").write_text(f"u {entry}\n")
    with pytest.raises(UserError, match=words):
        ArkReader("x.scp")["u"]


def test_combining(tmp_path):
    for number, names in enumerate(("ca", "b")):
        write(tmp_path / f"{number}", {name: np.full(2, ord(name)) for name in names})
    assert combine_scps([tmp_path / "0.scp", tmp_path / "1.scp"], tmp_path / "all.scp") == 3
    reader = ArkReader(tmp_path / "all.scp")
    assert {name: int(reader[name][0]) for name in reader} == {"a": 97, "b": 98, "c": 99}
    with pytest.raises(UserError, match="is also in"):
        combine_scps([tmp_path / "0.scp", tmp_path / "0.scp"], tmp_path / "twice.scp")
    assert not (tmp_path / "twice.scp").exists()
