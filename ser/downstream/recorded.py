"""The upstream that an experiment was trained on, as info.yaml has it: loaded again, or compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.downstream.experiment import Experiment
from ser.upstream import load_upstream
from ser.upstream.base import Upstream
from ser.upstream.registry import resolve_device

# Keys of meta.yaml in which two upstreams must agree to give the same features.
COMPARED = ("family", "checkpoint", "sample_rate", "frame_rate", "layers", "dim", "context")


def read_info(experiment: Experiment) -> dict[str, Any]:
    """info.yaml.

    Raises:
        UserError: when the experiment is not there, or its info.yaml does not name its upstream.
    """
    path = experiment.path / "info.yaml"
    if not experiment.path.is_dir():
        raise UserError("no such experiment", file=experiment.path)
    info = read_yaml(path)
    if not isinstance(info, dict) or not isinstance(info.get("upstream"), dict):
        raise UserError("not what 'ser train' writes", file=path, hint="Run stage 8 (train) again")
    return info


def load_recorded(experiment: Experiment, name: str | None = None, device: str = "auto") -> Upstream:
    """Load the upstream whose features the experiment was trained on.

    Args:
        experiment: a trained one.
        name: where the upstream is now, if it has moved (``hf:<folder>``); as recorded by default.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:<n>``.

    Raises:
        UserError: when it cannot be loaded, or is another one by the hash of its weights or its layers.
    """
    recorded = read_info(experiment)["upstream"]
    context, device = recorded.get("context", "length"), resolve_device(device)
    try:
        upstream = load_upstream(name or str(recorded["upstream"]), device, context=context)
    except UserError as error:
        if name is not None:
            raise
        moved = "If it has moved, say where it is: --upstream hf:<folder>"
        raise UserError(
            f"the upstream of {experiment.path} cannot be loaded: {error.what}",
            file=error.file, value=error.value, hint=moved,
        ) from None  # fmt: skip
    info = upstream.info
    found = {
        "family": info.family, "checkpoint": info.checkpoint, "sample_rate": info.sample_rate,
        "frame_rate": info.frame_rate, "layers": info.num_layers, "dim": info.dim, "context": info.context,
    }  # fmt: skip
    compare_upstreams(recorded, found, experiment, info.name)
    return upstream


def check_features(experiment: Experiment, feats: Path) -> None:
    """Refuse features of another upstream than the experiment's.

    Raises:
        UserError: naming what differs, or when there are no features.
    """
    meta = Path(feats) / "meta.yaml"
    if not meta.is_file():
        raise UserError("no such features", file=meta, hint="Run 'ser extract'")
    compare_upstreams(read_info(experiment)["upstream"], read_yaml(meta), experiment, meta)


def compare_upstreams(
    recorded: dict[str, Any], found: dict[str, Any], experiment: Experiment, where: str | Path
) -> None:
    """Raise for the first key of ``COMPARED`` that differs.

    Raises:
        UserError: with both values.
    """
    for key in COMPARED:
        if recorded.get(key) != found.get(key):
            raise UserError(
                f"another upstream than that of {experiment.path}: its {key} is"
                f" {recorded.get(key)}, this one's {found.get(key)}",
                file=where,
                hint=f"It was trained on {recorded.get('upstream')}",
            )
