"""The facts of an experiment's model card, read from its files; what no file says is None."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.core.log import get_logger
from ser.corpora.base import CORPORA, Corpus
from ser.data.datadir import DataDir, examine
from ser.data.labels import TOTAL
from ser.scoring.groups import RULES, UNKNOWN, trait_groups
from ser.scoring.schema import Attribute, Classification, Scores
from ser.scoring.tables.rows import EMOTION, Row

logger = get_logger(__name__)
SECONDS_AN_HOUR = 3600
NOT_KNOWN = "not known"
CROSS_VALIDATED = "train and test, by fold"
FOREIGN = "test on another corpus"
# Scores of the corpus's own sets, and of other corpora.
SCORED = ("scores.json", "scores_*.json", "cross/*/*/scores.json")


@dataclass(frozen=True)
class SetFacts:
    """A data directory that the experiment was trained or scored with.

    Attributes:
        name: as config.yaml has it, or its last folder where that is a path of one machine.
        role: what it was for.
        data: what it holds, or None when it is not there any more.
    """

    name: str
    role: str
    data: DataDir | None

    @property
    def hours(self) -> float | None:
        """Hours of speech, where tables tell it: no audio is opened."""
        if self.data is None or not ("utt2dur" in self.data.tables or self.data.segments is not None):
            return None
        return sum(self.data.durations().values()) / SECONDS_AN_HOUR

    @property
    def groups(self) -> str | None:
        """``gender: 5 female, 5 male``; None when no group is known."""
        if self.data is None:
            return None
        parts, speaker_of = [], self.data.utt2spk
        for name, group_of in trait_groups(self.data).items():
            pairs = {(speaker_of[utterance], group) for utterance, group in group_of.items()}
            number = Counter(group for _, group in pairs)
            number[UNKNOWN] = len(self.data.spk2utt.keys() - {speaker for speaker, _ in pairs})
            known = [f"{number[group]:,} {group}" for group in (*RULES[name].order, UNKNOWN) if number[group]]
            parts.append(f"{name}: {', '.join(known)}")
        return "; ".join(parts) or None


@dataclass(frozen=True)
class Facts:
    """Everything that the card tells.

    Attributes:
        scores: of every scored set; not empty.
        config: config.yaml's ``train``, or None.
        environment: env.yaml, empty when there is none.
        corpus: what the reader of the training corpus says of it, or None.
        sets: data directories.
        vectors: files of utterance vectors in the experiment.
    """

    scores: list[Scores]
    config: dict[str, Any] | None
    environment: dict[str, Any]
    corpus: Corpus | None
    sets: list[SetFacts]
    vectors: int

    @property
    def main(self) -> Scores:
        """The scores on the corpus that it was trained on, or the first."""
        return next((scores for scores in self.scores if not self.is_foreign(scores)), self.scores[0])

    @property
    def info(self) -> dict[str, Any]:
        """info.yaml."""
        return self.main.info

    @property
    def row(self) -> Row:
        """Names of the system, as tables have them."""
        parts = [name for name, _ in labels_of(self.main)]
        return Row(self.main, parts[0])

    @property
    def speech(self) -> str | None:
        """Kind of speech and language of the training corpus: ``acted German``."""
        speech = self.corpus.speech if self.corpus else NOT_KNOWN
        return None if speech == NOT_KNOWN else speech

    @property
    def trained_on(self) -> str | None:
        """The training corpus's short name."""
        return self.info.get("corpus")

    @property
    def training(self) -> DataDir | None:
        """The training data directory."""
        return next((each.data for each in self.sets if each.role.startswith("train")), None)

    def is_foreign(self, scores: Scores) -> bool:
        """Whether a set is of another corpus than the training set."""
        trained_on = scores.info.get("corpus")
        return trained_on is not None and scores.data.corpus != trained_on

    @property
    def shared_speakers(self) -> list[str] | None:
        """Speakers both in a training and in a test part, or None when that cannot be told."""
        whole = next((each.data for each in self.sets if each.role == CROSS_VALIDATED), None)
        if whole is not None:
            if not whole.folds():
                return None
            pairs = {(whole.utt2spk[utterance], fold) for utterance, fold in whole.folds().items()}
            folds = Counter(speaker for speaker, _ in pairs)
            return sorted(speaker for speaker, number in folds.items() if number > 1)
        tests = [each.data for each in self.sets if each.role == "test"]
        if self.training is None or not tests or None in tests:
            return None
        tested = {speaker for data in tests if data for speaker in data.spk2utt}
        return sorted(tested & self.training.spk2utt.keys())

    @property
    def is_partial(self) -> bool | None:
        """Whether a data directory was made of a copy that lacks some of the release."""
        known = [each.data.labels.partial for each in self.sets if each.data and each.role != FOREIGN]
        return any(known) if known else None

    @property
    def completeness(self) -> str | None:
        """Whether the copy was whole, as the reader's counts tell it."""
        if self.is_partial:
            return "no: utterances of the release are missing"
        own = [each.data for each in self.sets if each.data and each.role != FOREIGN]
        known = [data for data in own if TOTAL in data.labels.expected]
        if (
            len(known) < len(own)
            or not known
            or any(len(data.utterances) != data.labels.expected[TOTAL] for data in known)
        ):
            return None
        return "yes: as many utterances as the release has"


def gather(experiment: Path, scored: Mapping[Path, Scores], data: DataDir | None = None) -> Facts | None:
    """Read the facts.

    Args:
        experiment: exp/<tag>.
        scored: file -> scores that are about to be written to it; other scores*.json are read.
        data: a data directory that is in memory already.

    Returns:
        None when nothing is scored on the corpus's own test sets.

    Raises:
        UserError: for config.yaml or env.yaml that are no mappings.
    """
    config = _mapping(experiment / "config.yaml")
    found = dict(scored)
    others = {path for pattern in SCORED for path in experiment.glob(pattern)} - found.keys()
    for path in sorted(others):
        try:
            found[path] = Scores.read(path)
        except UserError as error:
            logger.warning("left out of the model card: %s", error)
    found = {path: scores for path, scores in found.items() if labels_of(scores)}

    def rank(path: Path) -> tuple[bool, bool, str]:
        return path.parent != experiment, path.name != "scores.json", path.name

    ordered = [found[path] for path in sorted(found, key=rank)]
    if not any(path.parent == experiment for path in found):
        return None  # another corpus's scores alone say too little
    trained_on = ordered[0].info.get("corpus")
    return Facts(
        scores=ordered,
        config=config.get("train"),
        environment=_mapping(experiment / "env.yaml"),
        corpus=corpus_facts(str(trained_on)),
        sets=_sets(config.get("sources") or {}, ordered, data),
        vectors=sum(1 for _ in experiment.glob("seed*/fold*/*/emb.scp")),
    )


def corpus_facts(name: str) -> Corpus | None:
    """What the reader of a corpus says of it; None for a corpus without a reader."""
    if name not in CORPORA:
        return None
    try:
        return getattr(importlib.import_module(CORPORA[name]), "CORPUS", None)
    except ImportError:
        return None


def labels_of(scores: Scores) -> list[tuple[str, Classification | Attribute]]:
    """Every scored label: ``emotion``, then attributes."""
    classes = [(EMOTION, scores.classification)] if scores.classification else []
    return [*classes, *scores.attributes.items()]


def portable(path: str) -> str:
    """A path as another machine may show it: relative as it is, absolute by its last folder."""
    return Path(path).name if Path(path).is_absolute() else Path(path).as_posix()


def _sets(sources: Mapping[str, Any], scored: Sequence[Scores], data: DataDir | None) -> list[SetFacts]:
    """The data directories of config.yaml, and those that were scored besides."""
    wanted: dict[str, str] = {}
    if sources.get("data"):
        wanted[str(sources["data"])] = "train" if sources.get("test_data") else CROSS_VALIDATED
    if sources.get("validation_data"):
        wanted[str(sources["validation_data"])] = "validation"
    wanted |= {str(path): "test" for path in sources.get("test_data") or []}
    for scores in scored:
        own = scores.data.corpus == scores.info.get("corpus", scores.data.corpus)
        wanted.setdefault(scores.data.path, "test" if own else FOREIGN)
    return [
        SetFacts(portable(path), role, data if data and Path(path) == data.path else _load(Path(path)))
        for path, role in wanted.items()
    ]


def _load(path: Path) -> DataDir | None:
    """A data directory, or None when it is not there, or not whole."""
    data, errors = examine(path, check=False)
    return None if errors else data


def _mapping(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; empty when there is no such file."""
    content = read_yaml(path) if path.is_file() else {}
    if not isinstance(content, dict):
        raise UserError("not what 'ser train' writes", file=path, hint="Run stage 8 (ser train) again")
    return content
