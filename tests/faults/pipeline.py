"""A small corpus of one's own through every verb, and what of the result must not depend on faults."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from ser.cli.main import main
from tests.downstream.tones import write_tones

SPEAKERS, UTTERANCES = "abc", 4
CONFIG = """task: {emotion: true, attributes: [arousal]}
optimizer: {epochs: 4, patience: 4, lr: 0.01, batch_size: 8}
validation: {method: held_out, share: 0.34}
"""
VERBS = {
    "prepare": "prepare csv tones.csv --db-root wav --out data --range arousal=-1:1 --nj 1",
    "extract": "extract data/all feats/all --upstream fbank",
    "train": "train --config conf.yaml --data data/all --feats feats/all --exp exp/x",
    "predict": "predict exp/x",
    "score": "score exp/x --data data/all --draws 20",
    "benchmark": "benchmark table exp/x --out table",
}
# What is measured anew by every run: times and memory. Machine and versions are env.yaml's.
MEASURED = {"seconds", "wall_seconds", "times_real_time", "timing", "peak_memory_mb"}
LEFT_OUT = re.compile(
    r"env\.yaml|timing\.json|audio\.jsonl|.*\.log|report\.html|results\.(csv|tex)|\.notes.*|.*\.begun"
)
CELLS = re.compile(r"[\d.,]+ ×|[\d.,]+ s(, [\d.,]+ [GM]B)?")  # of RESULTS.md: speed, training


def make_corpus(home: Path) -> None:
    """Wavs, a table of them, a configuration."""
    data = write_tones(home / "made", speakers=SPEAKERS, utterances=UTTERANCES)
    shutil.move(home / "made" / "wav", home / "wav")
    columns = [
        dict(line.split() for line in (data / t).read_text().splitlines())
        for t in ("utt2spk", "utt2emo", "utt2arousal")
    ]
    rows = [",".join([f"{u}.wav", *(column[u] for column in columns)]) for u in sorted(columns[0])]
    (home / "tones.csv").write_text("\n".join(["path,speaker,emotion,arousal", *rows, ""]))
    (home / "conf.yaml").write_text(CONFIG)
    shutil.rmtree(home / "made")


def call(verb: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a verb in this process, as the command line does; its exit code."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["ser", *VERBS[verb].split()])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def results(home: Path) -> dict[str, object]:
    """Every file that runs leave below ``home``, by path: its bytes, without what is measured anew."""
    found: dict[str, object] = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if not path.is_file() or path.is_symlink() or LEFT_OUT.fullmatch(path.name) or ".marks" in name:
            continue
        if path.suffix in (".json", ".yaml"):
            load = json.loads if path.suffix == ".json" else yaml.safe_load
            found[name] = _unmeasured(load(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [_unmeasured(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name == "RESULTS.md":
            found[name] = CELLS.sub("...", path.read_text())
        else:
            found[name] = path.read_bytes()
    return found


def _unmeasured(value: object) -> object:
    if isinstance(value, dict):
        return {key: _unmeasured(entry) for key, entry in value.items() if key not in MEASURED}
    return [_unmeasured(entry) for entry in value] if isinstance(value, list) else value


def different(found: dict[str, object], wanted: dict[str, object]) -> list[str]:
    """Files that differ, or are only on one side."""
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
