"""No room, files that cannot be read, clocks that are wrong: told, and the result is the same afterwards."""

import ctypes
import os
import resource
import shutil
import signal
import time

import pytest

from tests.faults.pipeline import VERBS, call, different, results

YEAR = 365 * 86400


@pytest.fixture
def small_files():
    """A function that sets the largest size of a file, as a quota does; None lifts it.

    A tmpfs would be nearer to a full disk, but mounting one is not for every user.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("verb", ["prepare", "extract", "train", "predict", "score", "benchmark"])
def test_no_room_for_the_largest_file(verb, undisturbed, monkeypatch, capsys, small_files):
    home = undisturbed.home
    undisturbed.put_back(verb)
    monkeypatch.chdir(home)
    sizes = {path.name: path.stat().st_size for path in undisturbed.before[verb].rglob("*") if path.is_file()}
    new = [name for name in undisturbed.after[verb] if not (undisturbed.before[verb] / name).exists()]
    assert new and sizes
    small_files(60)
    code = call(verb, monkeypatch)
    small_files(None)
    said = capsys.readouterr().err
    assert code == 1 and "File too large" in said and "Traceback" not in said
    assert not list(home.rglob(".writing-*"))
    assert call(verb, monkeypatch) == 0
    assert not different(results(home), undisturbed.after[verb])


CAPABILITIES = 0x20080522  # version 3 of the kernel's interface
READS_ALL = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@pytest.fixture
def bound_by_permissions():
    """Root, too, reads only what a file's mode allows, until the test's end."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, before = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0

    def put(effective):
        assert libc.capset(header, (ctypes.c_uint32 * 6)(effective, *before[1:])) == 0

    put(before[0] & ~READS_ALL)
    yield
    put(before[0])


def unreadable(path):
    """Take a file's readability away."""
    path.chmod(0)
    with pytest.raises(PermissionError):
        path.open()


def folder(path):
    """A folder stands in its place."""
    path.unlink()
    path.mkdir()


def loop(path):
    """A link to itself stands in its place."""
    path.unlink()
    path.symlink_to(path.name)


# What a verb reads, one file of each kind.
READ = {
    "prepare": ("tones.csv", "wav/a-all00.wav"),
    "extract": ("data/all/wav.scp", "data/all/labels.yaml", "wav/a-all00.wav"),
    "train": ("conf.yaml", "data/all/utt2emo", "feats/all/pooled_mean.scp", "feats/all/meta.yaml"),
    "predict": ("exp/x/config.yaml", "exp/x/seed0/fold*/model.safetensors"),
    "score": ("exp/x/info.yaml", "exp/x/seed0/fold*/test/pred.scp", "exp/x/seed0/fold*/test/pred.ark"),
    "benchmark": ("exp/x/scores.json",),
}


@pytest.mark.parametrize("way", [unreadable, folder, loop])
@pytest.mark.parametrize(("verb", "file"), [(verb, file) for verb, files in READ.items() for file in files])
def test_a_file_that_cannot_be_read(verb, file, way, undisturbed, monkeypatch, capsys, bound_by_permissions):
    home = undisturbed.home
    undisturbed.put_back(verb)
    monkeypatch.chdir(home)
    path = sorted(home.glob(file))[0]
    way(path)
    assert call(verb, monkeypatch) in (1, 2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("ser: error: ")
    assert path.name in said or str(path.parent.relative_to(home)) in said
    path.unlink() if path.is_symlink() or path.is_file() else path.rmdir()
    shutil.copy2(undisturbed.before[verb] / path.relative_to(home), path)
    assert call(verb, monkeypatch) == 0
    assert not different(results(home), undisturbed.after[verb])


@pytest.mark.parametrize("years", [-30, 10])
def test_files_of_another_time_give_the_same_result(years, undisturbed, monkeypatch):
    """The clock was wrong before every verb: all files are old, or of a day that has not come."""
    home = undisturbed.home
    undisturbed.put_back("prepare")
    monkeypatch.chdir(home)
    for verb in VERBS:
        for path in home.rglob("*"):
            os.utime(path, (time.time() + years * YEAR,) * 2)
        assert call(verb, monkeypatch) == 0
    found, wanted = results(home), undisturbed.after["benchmark"]
    assert "table/RESULTS.md" in found
    # The fingerprint of features has the audio's times in it: newer audio is extracted again, to the same.
    kept = {name for name in wanted if not name.startswith("feats/") and not name.endswith("fit.json")}
    assert not [name for name in kept if found.get(name) != wanted[name]]
