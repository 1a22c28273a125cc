"""The disk is full at the n-th write, for every n of every verb: a message, exit 1; then all is well."""

import errno
import os
import tempfile

import pytest

from tests.faults.pipeline import VERBS, call, different, results


class Disk:
    """Counts what reaches the disk: files opened for writing, synced, renamed; refuses the ``fail_at``-th."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
        self.count, self.fail_at, self.home = 0, 0, home
        for module, name in (
            (os, "fsync"),
            (os, "replace"),
            (os, "rename"),
            (tempfile, "mkstemp"),
            (os, "mkdir"),
        ):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, real):
        def write(*args, **kwargs):
            if self._is_ours(args, kwargs) and not (real.__name__ == "mkdir" and os.path.exists(args[0])):
                self.count += 1
                if self.count == self.fail_at:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return write

    def _is_ours(self, args, kwargs) -> bool:
        place = kwargs.get("dir", args[0] if args else "")
        return isinstance(place, int) or os.path.abspath(place).startswith(self.home)


# A fold's writes come again with every fold: of two long verbs one in seven by default, each with --slow.
STEPS = [(verb, 7 if verb in ("train", "predict") else 1) for verb in VERBS]


@pytest.mark.parametrize(
    ("verb", "step"),
    [*STEPS, *(pytest.param(verb, 1, marks=pytest.mark.slow) for verb, step in STEPS if step > 1)],
)
def test_a_full_disk_at_every_write(verb, step, undisturbed, monkeypatch, capsys):
    home = undisturbed.home
    undisturbed.put_back(verb)
    monkeypatch.chdir(home)
    disk = Disk(monkeypatch, str(home))
    assert call(verb, monkeypatch) == 0
    writes = disk.count
    assert writes >= 2 and not different(results(home), undisturbed.after[verb])
    for number in range(1, writes + 1, step):
        disk.fail_at = 0
        monkeypatch.chdir(home.parent)
        undisturbed.put_back(verb)
        monkeypatch.chdir(home)
        disk.count, disk.fail_at = 0, number
        capsys.readouterr()
        assert call(verb, monkeypatch) == 1, f"{verb}, write {number} of {writes}"
        said = capsys.readouterr().err
        assert "No space left on device" in said and "Traceback" not in said
        assert call(verb, monkeypatch) == 0, f"{verb}, again after write {number}"
        assert not different(results(home), undisturbed.after[verb]), f"{verb}, after write {number}"
