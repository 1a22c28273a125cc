"""Readers of configurations and of what experiments leave: yaml and json, with valid contents."""

import math
from pathlib import Path

import yaml

from ser.cli import finetune, memory_train, papt, train
from ser.core.config import to_plain
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.core.marks import Inputs, Mark
from ser.downstream.config import TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.recorded import read_info
from ser.lint.notes import Notes
from ser.memory.config import MalConfig
from ser.memory.experiment import ConversationExperiment, ConversationSources
from ser.papt.config import PaptConfig
from ser.scoring import schema
from ser.scoring.mapping import Mapping
from ser.scoring.predictions import read_columns, read_fit
from ser.scoring.report.report import write_results
from ser.scoring.score import make_fit
from ser.scoring.tables.quoted import QuotedRow, read_quotations
from tests.fuzz.harness import Parser

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "egs/emodb/ser1/conf"
QUOTED = b"""- source: Tran, table 2
  corpus: msp_podcast
  set: test-b
  setting: release 1.6
  rows:
  - system: PAPT-FT
    transductive: true
    scores:
      arousal: {O-CCC: 0.740, A-CCC: 0.531, A-CCC sd: 0.177, MAE: 2}
      emotion: {UAR: .7}
"""
MAPPING = b"""classes:
  anger: [angry, Wut]
  "no": ["N", "off"]
attributes:
  arousal: [activation]
"""
COLUMNS = b"classes: [anger, joy]\nattributes: [arousal]\n"
INFO = b"""name: linear
options: [mean]
protocol: leave-one-speaker-out
task: {classes: [anger], attributes: []}
upstream: {upstream: fbank, tag: fbank, layers: 1, dim: 240, parameters: 0, context: length}
timing: {times_real_time: 12.5}
"""
FIT = b"""{"fold": "1", "seed": 0, "fingerprint": "00", "chosen": {"optimizer.lr": 0.01}, "epochs": 3,
"seconds": 1.5, "trained_parameters": 7, "layer_weights": [0.5, 0.5], "curve": [
{"epoch": 1, "train_loss": 2.5, "validation_metric": null}]}"""
SCORES = (Path(__file__).with_name("scores.json")).read_bytes()
NOTES = b'["a.wav", [1, 5, 6, null], [{"start": 0}]]\n["b.wav", [1, 5, 6, null], []]\n'


MEMORY = (memory_train, MalConfig, ["--data", "d", "--feats", "f", "--exp", "e"])
TRAIN = (train, TrainConfig, ["--data", "d", "--feats", "f", "--exp", "e"])


def configured(verb, kind, others: list[str]):
    """The reader of a verb's --config."""

    def read(path: Path):
        parser = verb.make_parser()
        options = parser.instantiate(parser.parse_args(["--config", str(path), *others]))
        config = kind(**{name: options[name] for name in kind.__dataclass_fields__})
        try:
            config.check()
        except UserError as error:  # names the option, which may be one of the command line
            error.args = (f"{path.name}: {error}",)
            raise
        return config

    return read


def check_quoted(path: Path, quotations: list) -> None:
    """Every figure can be shown."""
    for quotation in quotations:
        for row in quotation.rows:
            for task, scores in row.scores.items():
                assert all(math.isfinite(value) for value in scores.values())
                assert all(QuotedRow(quotation, row, task).cell(metric) for metric in scores)


def check_mapping(path: Path, mapping: Mapping) -> None:
    """Names find what they stand for."""
    assert all(mapping.class_of(name) == common for name, common in mapping.classes.items())


def check_scores(path: Path, scores: schema.Scores) -> None:
    """Written and read again it is the same."""
    scores.write(path.with_name("again.json"))
    assert schema.Scores.read(path.with_name("again.json")) == scores


def saved_config() -> bytes:
    """config.yaml as ``ser train`` leaves it."""
    config = configured(*TRAIN)(CONF / "superb.yaml")
    sources = Sources(Path("data/all"), Path("feats/fbank/all"))
    return yaml.safe_dump({"train": to_plain(config), "sources": to_plain(sources)}).encode()


def read_config(path: Path):
    """An experiment's configuration, whichever verb has left it."""
    experiment = Experiment(path.parent)
    return experiment.is_fine_tuned(), experiment.load_config()


def conversations_config() -> bytes:
    """config.yaml as ``ser memory-train`` leaves it."""
    config = configured(*MEMORY)(ROOT / "egs/mini/mal1/conf/memory.yaml")
    sources = ConversationSources(Path("data/train"), Path("feats/fbank/train"))
    return yaml.safe_dump({"conversation": to_plain(config), "sources": to_plain(sources)}).encode()


def read_mark(path: Path) -> str:
    """A mark: whatever is in it, the work is done again or not, and never an error."""
    code, reason = Mark(path).state(Inputs({"a": "1"}, {"b": "2"}))
    assert code in (0, 10, 11)
    return reason


def tabulated(path: Path):
    """What a colleague's scores.json becomes: the tables and the page."""
    return write_results([path.parent], path.parent / "out", "Results", "ser benchmark table")


def check_tables(path: Path, result: tuple) -> None:
    """RESULTS.md and the other files are there."""
    assert len(result[1]) == 5 and all(file.stat().st_size for file in result[1])


MEMORY_CONFS = ("mini/mal1/conf/memory", "mini/mal1/conf/frames", "iemocap/mal1/conf/qwen2_audio")
MARK = b'{"version": 1, "inputs": {"config": {"a": "1"}, "files": {"b": "2"}}, "outputs": ["x"]}'
PARSERS = {
    "yaml": Parser("a.yaml", read_yaml, (QUOTED, INFO)),
    "json": Parser("a.json", read_json, (FIT,)),
    "quoted.yaml": Parser("quoted.yaml", lambda path: read_quotations([path]), (QUOTED,), check_quoted),
    "mapping.yaml": Parser("mapping.yaml", Mapping.read, (MAPPING,), check_mapping),
    "columns.yaml": Parser("columns.yaml", read_columns, (COLUMNS,)),
    "info.yaml": Parser("info.yaml", lambda path: read_info(Experiment(path.parent)), (INFO,)),
    "config.yaml": Parser("config.yaml", read_config, (saved_config(),)),
    "fit.json": Parser("fit.json", read_fit, (FIT,)),
    "fit.json, scored": Parser("fit.json", lambda path: make_fit(0, "1", path), (FIT,)),
    "scores.json": Parser("scores.json", schema.Scores.read, (SCORES,), check_scores),
    "scores.json, in a table": Parser("scores.json", tabulated, (SCORES,), check_tables),
    "mark": Parser("extract.mark", read_mark, (MARK,)),
    "notes": Parser("notes.jsonl", Notes, (NOTES,)),
    "train.yaml": Parser(
        "train.yaml",
        configured(*TRAIN),
        tuple((CONF / f"{name}.yaml").read_bytes() for name in ("emotion", "superb", "naturalness")),
    ),
    "finetune.yaml": Parser(
        "finetune.yaml",
        configured(finetune, FinetuneConfig, ["--data", "d", "--upstream", "u", "--exp", "e"]),
        ((CONF / "finetune_lora.yaml").read_bytes(),),
    ),
    "memory.yaml": Parser(
        "memory.yaml",
        configured(*MEMORY),
        tuple((ROOT / f"egs/{name}.yaml").read_bytes() for name in MEMORY_CONFS),
    ),
    "config.yaml of conversations": Parser(
        "config.yaml",
        lambda path: ConversationExperiment(path.parent).load_config(),
        (conversations_config(),),
    ),
    "papt.yaml": Parser(
        "papt.yaml",
        configured(papt, PaptConfig, ["--upstream", "u", "--data", "d", "--units", "u", "--out", "o"]),
        ((ROOT / "egs/emodb/papt1/conf/papt.yaml").read_bytes(),),
    ),
}
