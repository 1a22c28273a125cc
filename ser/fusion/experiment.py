"""Fusion of experiments: a new experiment whose predictions are those of several, combined.

    exp/<fusion>/
        fusion.yaml                       members, rule, options
        weights.tsv                       members, weights and scores on validation, of every fold
        seed<k>/fold<j>/<set>/pred.scp    combined predictions
        seed<k>/fold<j>/fit.json          weights; parameters and seconds of the members together

The rest is as in any other experiment, so that scoring and tables need to know nothing of fusion. The test
sets' labels are not looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ser.core.config import to_plain
from ser.core.environment import describe as describe_environment
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_json, write_yaml
from ser.core.log import get_logger
from ser.core.seed import derive_seed
from ser.data.arks import ArkWriter
from ser.downstream.experiment import Experiment
from ser.downstream.validated import FOLDER as VALIDATION
from ser.fusion.members import Members, Outputs
from ser.fusion.objective import ClassMetric
from ser.fusion.report import warn_of_overfitting, write_weights
from ser.fusion.weigh import ATTRIBUTES, EMOTION, Weighed, fixed_rule, tasks_of, weigh

logger = get_logger(__name__)

MARK = "fusion.yaml"


@dataclass(frozen=True)
class FusionConfig:
    """How systems are fused.

    Args:
        rule: ``weights`` averages with weights that are best on the validation part of each fold; ``mean``
            averages; ``rank`` gives points by the order of the classes (Borda); ``vote`` is the majority's.
            Values of attributes have no order and no votes: ``rank`` and ``vote`` average them.
        metric: what weights of posteriors are chosen by: ``macro-F1`` or ``UAR``; those of attributes by
            mean CCC.
        groups: groups of validation speakers, for the score on speakers that weights were not chosen on.
        seed: of the search's starts and of the groups.
    """

    rule: Literal["weights", "mean", "rank", "vote"] = "weights"
    metric: ClassMetric = "macro-F1"
    groups: int = 5
    seed: int = 0

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UserError: naming the option.
        """
        if self.groups < 2:
            raise UserError("--groups must be at least 2", value=self.groups)

    def describe(self, outputs: Outputs) -> str:
        """The words of tables."""
        if self.rule == "weights":
            metrics = [self.metric] * bool(outputs.classes) + ["mean CCC"] * bool(outputs.attributes)
            return f"weights by validation {' and '.join(metrics)}"
        words = {"mean": "plain mean", "rank": "Borda count", "vote": "majority vote"}
        mixed = ", attributes by plain mean" if outputs.attributes and self.rule != "mean" else ""
        return words[self.rule] + mixed


def fuse_experiments(paths: Sequence[Path], out: Experiment, config: FusionConfig) -> list[str]:
    """Fuse every fold of every seed.

    Args:
        paths: experiments of the same data, seeds and folds; predicted by ``ser predict``.
        out: the experiment to write; a fusion that is there is replaced.
        config: how.

    Returns:
        What there is to warn of, a line each.

    Raises:
        UserError: when the members do not belong together, a part is missing, or there is nothing to choose
            weights on; nothing is written then.
    """
    config.check()
    members = Members.of(paths)
    if not members.outputs.classes and config.rule in ("rank", "vote"):
        raise UserError(
            f"values of {', '.join(members.outputs.attributes)} have no classes to {config.rule}",
            value=f"--rule {config.rule}", hint="Use mean or weights",
        )  # fmt: skip
    if out.path.exists() and not (out.path / MARK).is_file():
        raise UserError("something else than a fusion is there", file=out.path)
    if any(path.resolve() == out.path.resolve() for path in paths):
        raise UserError("a fusion cannot be its own member", file=out.path)
    weighed = {fold: _weigh_fold(members, fold, config) for fold in members.folds}
    # Read as a whole before the first is written, so that what is wrong with the last leaves nothing behind.
    combined = {
        (fold, name): _combine(members, fold, name, weighed[fold])
        for fold in members.folds for name in members.tests(fold)
    }  # fmt: skip
    if out.path.exists():
        shutil.rmtree(out.path)
    for (fold, name), (utterances, values) in combined.items():
        _write_part(out.path / fold / name, members.outputs, utterances, values)
    for fold in members.folds:
        write_json(out.path / fold / "fit.json", _fit(members, fold, weighed[fold]))
    # So that the sources of the data are known to whoever asks.
    write_yaml(out.path / "config.yaml", read_yaml(members.experiments[0].path / "config.yaml"))
    write_yaml(out.path / "env.yaml", describe_environment())
    scored = {fold: found for fold, found in weighed.items() if found[0].members}
    warnings = []
    if scored:
        write_weights(out.path / "weights.tsv", members.names, scored)
        warnings = warn_of_overfitting(scored) if config.rule == "weights" else []
    write_yaml(out.path / MARK, {"members": list(map(str, paths)), **to_plain(config)})
    write_yaml(out.path / "info.yaml", describe_fusion(members, config))
    return warnings


def _weigh_fold(members: Members, fold: Path, config: FusionConfig) -> list[Weighed]:
    """How each task of a fold is combined; scored where there are validation predictions.

    Raises:
        UserError: for weights without validation predictions.
    """
    outputs = members.outputs
    if lacking := members.validated(fold):
        if config.rule == "weights":
            raise UserError(
                f"no validation predictions of {', '.join(lacking)} to choose weights on",
                file=fold / VALIDATION,
                hint="Train again (ser train and finetune leave them), or use --rule mean",
            )
        count = len(outputs.classes)
        every = {
            EMOTION: (outputs.classes, slice(0, count)),
            ATTRIBUTES: (outputs.attributes, slice(count, None)),
        }
        return [
            Weighed(name, "", columns, None, fixed_rule(config.rule, name))
            for name, (said, columns) in every.items() if said
        ]  # fmt: skip
    part = members.part(fold, VALIDATION)
    tasks = tasks_of(part, outputs, members.data_of(VALIDATION), config.metric)
    seed = derive_seed(config.seed, "fusion", str(fold))
    return [weigh(task, config.rule, config.groups, seed) for task in tasks]


def _combine(
    members: Members, fold: Path, name: str, weighed: Sequence[Weighed]
) -> tuple[list[str], np.ndarray]:
    """Utterances of a part, and their combined predictions ``(N, K + A)``."""
    part = members.part(fold, name)
    values = np.concatenate([each.rule(part.values[..., each.columns]) for each in weighed], axis=1)
    return part.utterances, values.astype(np.float32)


def _write_part(folder: Path, outputs: Outputs, utterances: list[str], values: np.ndarray) -> None:
    """Write columns.yaml and pred.ark/scp."""
    folder.mkdir(parents=True)
    write_yaml(folder / "columns.yaml", {"classes": outputs.classes, "attributes": outputs.attributes})
    with ArkWriter(folder / "pred") as writer:
        for utterance, value in zip(utterances, values, strict=True):
            writer.write(utterance, value)


def _fit(members: Members, fold: Path, weighed: Sequence[Weighed]) -> dict[str, Any]:
    """fit.json: what was chosen here; seconds, memory and trained parameters of the members' trainings."""
    fits = [read_json(experiment.path / fold / "fit.json") for experiment in members.experiments]
    weighted = [each for each in weighed if each.weights is not None]
    chosen = {
        f"{each.task}: {name}": round(float(weight), 6)
        for each in weighted for name, weight in zip(members.names, each.weights, strict=True)
    }  # fmt: skip
    memory = [fit["peak_memory_mb"] for fit in fits if fit.get("peak_memory_mb") is not None]
    return {
        "fold": fits[0]["fold"],
        "seed": fits[0]["seed"],
        "chosen": chosen,
        "epochs": 0,
        "seconds": round(sum(fit["seconds"] for fit in fits), 3),
        "trained_parameters": sum(fit["trained_parameters"] for fit in fits)
        + len(weighted) * (len(fits) - 1),
        "layer_weights": None,
        "curve": [],
        "peak_memory_mb": max(memory, default=None),
        "validation": {
            each.task: {
                "metric": each.metric, "members": dict(zip(members.names, each.members, strict=True)),
                "mean": each.mean, "fused": each.fused, "cross_validated": each.crossed,
            }
            for each in weighed if each.members
        },
    }  # fmt: skip


def describe_fusion(members: Members, config: FusionConfig) -> dict[str, Any]:
    """info.yaml: that of the first member where all agree, and what the members are."""
    infos, outputs = members.infos, members.outputs
    first = infos[0]
    upstreams = [info.get("upstream") or {} for info in infos]
    tags = [str(each.get("tag") or each.get("upstream") or "unknown") for each in upstreams]
    distinct = {str(each.get("checkpoint") or tag): each for tag, each in zip(tags, upstreams, strict=True)}
    parameters = [each.get("parameters") for each in distinct.values()]
    merged = {
        key: value for key, value in upstreams[0].items() if all(u.get(key) == value for u in upstreams)
    }
    merged["upstream"] = merged["tag"] = " + ".join(dict.fromkeys(tags))
    merged["parameters"] = None if None in parameters else sum(parameters)
    options = [
        f"{tag}: {'; '.join([str(info.get('name')), *map(str, info.get('options') or [])])}"
        for tag, info in zip(tags, infos, strict=True)
    ]
    return {
        **{key: first[key] for key in ("protocol", "data", "corpus", "derived") if key in first},
        "name": f"fusion of {len(infos)}, {config.describe(outputs)}",
        "options": options,
        "task": {"classes": outputs.classes, "attributes": outputs.attributes},
        "ranges": {name: first["ranges"][name] for name in outputs.attributes},
        "upstream": merged,
        "timing": None,
        "transductive": any(
            info.get("transductive") or "(transductive)" in " ".join(map(str, info.get("options") or []))
            for info in infos
        ),
        "synthetic": any(info.get("synthetic") for info in infos),
    }
