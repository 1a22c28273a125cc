"""A toy recipe on the real stage engine, with a stand-in for ``ser`` that does each verb in a blink."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Every verb writes what it promises, out of what it reads; $FAKE_<VERB> makes one misbehave.
FAKE_SER = r"""
import os, shutil, sys, time
from pathlib import Path

def option(name, default=None):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default

def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)

def listed(text):
    return text.strip("[]").split(",") if text else []

def memory(exp):
    # memory-train, memory-predict: an experiment, its predictions, or those of an intervention.
    if verb == "memory-train":
        exp, seed = Path(option("--exp")), option("--seed")
        content = Path(option("--config")).read_text() + Path(option("--data"), "utt2emo").read_text()
        source = Path(option("--feats", option("--host")))
        source /= "pooled_mean.scp" if "--feats" in sys.argv else "config.json"
        content += (source.read_text() if source.exists() else "") + option("--lr", "")
        for name in ("config.yaml", "info.yaml"):
            write(exp / name, content)
        write(exp / "tests.txt", " ".join(Path(t).name for t in listed(option("--test-data"))) or "test")
        write(exp / f"seed{seed}" / f"fold{option('--job')}" / "model.safetensors", content + seed)
    elif "--check-leaks" in sys.argv:
        if behaviour == "leak":
            print("seed0/fold1: a later utterance changes it")
            sys.exit(2)
        print("no leak")
    else:
        into = Path(option("--into", exp))
        for model in Path(exp).glob("seed*/*/model.safetensors"):
            for part in (Path(exp) / "tests.txt").read_text().split():
                for name in ("pred.scp", "pred.ark", "emb.scp", "emb.ark"):
                    where = into / model.parent.relative_to(exp) / part
                    write(where / name, model.read_text() + option("--ablate", ""))
        if "--ablate" in sys.argv:
            write(into / "info.yaml", option("--ablate"))

with open("calls.txt", "a") as calls:
    print(*sys.argv[1:], sep="|", file=calls)
verb, action = sys.argv[1], sys.argv[2]
behaviour = os.environ.get(f"FAKE_{verb.upper().replace('-', '_')}")
if behaviour == "fail":
    print("ser: error: data/all/utt2emo:3: no such class: 'joy'. Mend it.", file=sys.stderr)
    sys.exit(2)
if behaviour == "disk":
    print("OSError: [Errno 28] No space left on device", file=sys.stderr)
    sys.exit(1)
if behaviour == "nothing":
    sys.exit()
if behaviour == "hang" and verb != "papt":
    write("hanging.pid", str(os.getpid()))
    time.sleep(300)
if verb == "lint":
    print("0 errors")
    write(option("--html"), "0 errors")
elif verb == "prepare":
    for name in os.environ.get("FAKE_SETS", "all").split():
        wavs = sorted(Path(option("--db-root")).glob("*.wav"))
        for table, value in {"wav.scp": None, "utt2spk": "s", "utt2emo": "anger"}.items():
            write(f"data/{name}/{table}", "".join(f"{wav.stem} {value or wav}\n" for wav in wavs))
        write(f"data/{name}/spk2utt", "s " + " ".join(wav.stem for wav in wavs) + "\n")
        write(f"data/{name}/labels.yaml", "classes: [anger]\n")
elif verb == "text":
    words = Path(action, "text").read_text() + option("--encoder") + option("--normalise", "")
    for name in ("embedding.scp", "embedding.ark", "meta.yaml"):
        write(Path(option("--out")) / name, words)
elif verb == "extract":
    data, feats = Path(sys.argv[2]), Path(sys.argv[3])
    print("progress toy: 50 %, 0:01 gone, 0:01 left", file=sys.stderr)
    if "--combine" in sys.argv or "--job" not in sys.argv:
        content = (data / "wav.scp").read_text() + option("--upstream") + option("--batch-seconds", "")
        weights = Path(option("--upstream").removeprefix("papt:"), "encoder", "model.safetensors")
        content += weights.read_text() if weights.exists() else ""
        for name in ("pooled_mean.scp", "pooled_std.scp", "shards-0/0.pooled_mean.ark", "meta.yaml"):
            write(feats / name, content)
        if "--frames-layers" in sys.argv:
            write(feats / f"frames_layer{option('--frames-layers')}.scp", content)
        write(feats / "timing.json", str(time.time()))
elif verb == "units":
    data = [Path(word) for word in sys.argv[2 : sys.argv.index("--feats")]]
    for folder in data:
        for name in ("units.scp", "units.ark"):
            write(Path(option("--out"), folder.name, name), (folder / "wav.scp").read_text())
    write(Path(option("--out"), "meta.yaml"), option("--clusters"))
elif verb == "papt":
    out = Path(option("--out"))
    content = Path(option("--config")).read_text()
    content += option("--upstream") + option("--units") + option("--lr", "")
    write(out / "checkpoint.pt", content)
    if behaviour == "hang":
        write("hanging.pid", str(os.getpid()))
        time.sleep(300)
    for name in ("config.yaml", "model.safetensors", "speakers.txt", "spk_vectors.scp", "hubert.pt"):
        write(out / "encoder" / name, content)
    (out / "checkpoint.pt").unlink()
elif verb == "speakers":
    write(option("--out"), f"s-of-{Path(action).name} x:1\nshared {Path(action).name}:1\n")
elif verb == "finetune":
    exp, seed = Path(option("--exp")), option("--seed")
    content = Path(option("--config")).read_text() + option("--upstream")
    weights = Path(option("--upstream").removeprefix("hf:"), "model.safetensors")
    content += weights.read_text() if weights.exists() else ""
    for name in ("config.yaml", "info.yaml"):
        write(exp / name, content)
    write(exp / "tests.txt", " ".join(Path(t).name for t in listed(option("--test-data"))) or "test")
    write(exp / f"seed{seed}" / f"fold{option('--job')}" / "model.safetensors", content + seed)
elif verb in ("memory-train", "memory-predict"):
    memory(action)
elif verb in ("adapt", "calibrate"):
    out, left_out = Path(option("--out")), option("--enrolment")
    shutil.rmtree(out, ignore_errors=True)
    for model in Path(action).glob("seed*/*/model.safetensors"):
        for part in (Path(action) / "tests.txt").read_text().split():
            folder = out / model.parent.relative_to(action) / part
            for name in ("pred.scp", "pred.ark") if part != left_out else ():
                write(folder / name, model.read_text() + verb + option("--shift", "") + option("--k", ""))
    for name in ("calibration.yaml", "info.yaml"):
        write(out / name, verb)
elif verb == "train":
    exp, seed = Path(option("--exp")), option("--seed")
    content = Path(option("--config")).read_text() + Path(option("--data"), "utt2emo").read_text()
    content += Path(option("--feats"), "pooled_mean.scp").read_text() + option("--lr", "")
    content += Path(option("--text-feats"), "meta.yaml").read_text() if "--text-feats" in sys.argv else ""
    write(exp / "config.yaml", content)
    write(exp / "info.yaml", content)
    write(exp / f"tests.txt", " ".join(Path(t).name for t in listed(option("--test-data"))) or "test")
    write(exp / f"seed{seed}" / f"fold{option('--job')}" / "model.safetensors", content + seed)
    for name in ("pred.scp", "pred.ark"):
        write(exp / f"seed{seed}" / f"fold{option('--job')}" / "validation" / name, content + seed)
elif verb == "fuse":
    members, out = sys.argv[2 : sys.argv.index("--out")], Path(option("--out"))
    shutil.rmtree(out, ignore_errors=True)
    for pred in Path(members[0]).glob("seed*/*/*/pred.scp"):
        if pred.parent.name not in ("train", "validation"):
            where = pred.parent.relative_to(members[0])
            content = "".join((Path(member) / where / "pred.scp").read_text() for member in members)
            for name in ("pred.scp", "pred.ark"):
                write(out / where / name, content + option("--rule"))
    for name in ("fusion.yaml", "info.yaml"):
        write(out / name, verb)
elif verb == "predict":
    for model in Path(action).glob("seed*/*/model.safetensors"):
        more = ["train", "validation"] if "--parts" in sys.argv else []
        for part in (Path(action) / "tests.txt").read_text().split() + more:
            for name in ("pred.scp", "pred.ark", "emb.scp", "emb.ark"):
                write(model.parent / part / name, model.read_text())
elif verb == "score":
    print("UAR .5")
    labels, name = Path(option("--data"), "utt2emo"), option("--set")
    if labels.exists():
        write(Path(action) / ("scores.json" if name == "test" else f"scores_{name}.json"), labels.read_text())
    else:
        write(Path(action) / f"submission_{name}.csv", "FileName,EmoClass\n")
elif verb == "benchmark" and action == "compare":
    for name in ("comparison.md", "comparison.csv"):
        write(Path(option("--out"), name), "\n".join(sys.argv[3:]))
    print("the comparison")
elif verb == "benchmark":
    for name in ("RESULTS.md", "results.csv", "report.html"):
        write(name, "\n".join(sys.argv[3:]))
    print("the table")
"""

RUN_SH = """#!/usr/bin/env bash
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ./ser.sh --local-data "ser prepare toy" --corpus-home "Toys are at the toy shop." \\
  --upstreams "fbank" --train-configs "conf/emotion.yaml" --nj 2 -- "$@"
"""


class Recipe:
    """A recipe's folder, its corpus of three files, and ways to run it."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home, self.environment = home, environment
        self.path, self.corpus = home / "egs" / "toy" / "ser1", home / "my corpus"

    def command(self, *words: str, **environment: str) -> dict:
        """Arguments for ``subprocess``."""
        return {
            "args": [str(self.path / "run.sh"), *words],
            "env": {**self.environment, **environment},
            "text": True,
        }

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
        """Run to the end, forgetting the calls of earlier runs."""
        (self.path / "calls.txt").unlink(missing_ok=True)
        command = self.command(*words, **environment)
        return subprocess.run(**command, cwd=cwd or self.path, capture_output=True, timeout=300)

    def calls(self) -> list[list[str]]:
        """What the stand-in was called with, a list a call."""
        file = self.path / "calls.txt"
        return [line.split("|") for line in file.read_text().splitlines()] if file.exists() else []

    def verbs(self) -> list[str]:
        """Verbs that were called, in order, each once."""
        return list(dict.fromkeys(call[0] for call in self.calls()))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Poll until ``condition()`` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def alive():
    return is_alive


@pytest.fixture
def wait_for():
    return wait_until


def make_recipe(home: Path, root: Path) -> Recipe:
    """A recipe that was never run."""
    bin_folder = home / "venv" / "bin"
    recipe = Recipe(
        home,
        {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "SER_VENV": str(bin_folder.parent),
            "SER_INSTALL": "false",
        },
    )
    (recipe.path / "conf").mkdir(parents=True)
    (recipe.path / "conf" / "emotion.yaml").write_text("a: 1\n")
    for name in ("ser.sh", "path.sh", "cmd.sh"):
        (recipe.path / name).symlink_to(root / "egs" / "TEMPLATE" / "ser1" / name)
    (recipe.path / "utils").symlink_to(root / "utils")
    (recipe.path / "run.sh").write_text(RUN_SH)
    (recipe.path / "run.sh").chmod(0o755)
    recipe.corpus.mkdir()
    for name in "abc":
        (recipe.corpus / f"{name}.wav").write_bytes(name.encode() * 9000)
    bin_folder.mkdir(parents=True)
    (bin_folder / "ser").write_text(f"#!{sys.executable} -IS\n{FAKE_SER}")
    (bin_folder / "ser").chmod(0o755)
    return recipe


@pytest.fixture
def recipe(tmp_path, root):
    """A recipe that was never run."""
    return make_recipe(tmp_path, root)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, root):
    """A recipe after a complete run, and a copy of it."""
    recipe = make_recipe(tmp_path_factory.mktemp("finished") / "home", root)
    run = recipe.run("--db-root", str(recipe.corpus))
    assert run.returncode == 0, run.stderr
    copy = recipe.home.with_name("copy")
    shutil.copytree(recipe.home, copy, symlinks=True)
    return recipe, copy


@pytest.fixture
def done(finished):
    """A recipe after a complete run (put back as it was then, at the same place: paths are in its data)."""
    recipe, copy = finished
    shutil.rmtree(recipe.home)
    shutil.copytree(copy, recipe.home, symlinks=True)
    return recipe
