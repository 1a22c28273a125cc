"""Whole-or-nothing files, also under kill -9."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ser.core.errors import UserError
from ser.core.files import (
    TEMPORARY_PREFIX,
    read_json,
    read_yaml,
    remove_leftovers,
    whole_file,
    write_json,
    write_text,
)


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), whole_file(target) as stream:
        stream.write("half of the new")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_killed_writer_leaves_no_target(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom ser.core.files import whole_file\n"
        "with whole_file(sys.argv[1]) as f:\n"
        "    f.write('half'); f.flush(); print('writing', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "a.txt"
    child = subprocess.Popen([sys.executable, "-c", program, target], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"writing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not target.exists()
    assert [name.startswith(TEMPORARY_PREFIX) for name in os.listdir(tmp_path)] == [True]
    assert remove_leftovers(tmp_path) == 1
    assert os.listdir(tmp_path) == []


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "content", "reader", "message"),
    [
        ("a.yaml", b"a: [1", read_yaml, "a.yaml:1"),
        ("a.yaml", b"a: !!python/object/apply:os.system [ls]", read_yaml, "not plain YAML"),
        ("a.yaml", b"a: \xff", read_yaml, "not UTF-8"),
        ("a.json", b'{"a":\n1,}', read_json, "a.json:2"),
    ],
)
def test_bad_content_is_named(tmp_path: Path, name: str, content: bytes, reader, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        reader(tmp_path / name)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_time_stamps_do_not_matter(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    os.utime(tmp_path / "a.json", (time.time() + 1e6,) * 2)
    assert read_json(tmp_path / "a.json") == {"x": 1}
