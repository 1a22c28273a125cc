"""Units: the cluster of every frame, which masked prediction predicts.

exp/units/<name>/
    centroids.safetensors       k-means, with what it was fitted on
    meta.yaml                   the same to read, quality on what it was fitted on; written last
    <set>/units.ark, units.scp  int32 vector an utterance, one unit a frame
    <set>/quality.json          figures and counts of the set; written last of the set
"""

from __future__ import annotations

import functools
import operator
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, sha256, whole_file, write_json, write_yaml
from ser.core.log import Progress, get_logger
from ser.data.arks import ArkWriter
from ser.data.wording import first_few
from ser.features.store import fingerprint
from ser.papt.frame_sample import FrameSample
from ser.papt.frames import FrameSet, FrameSource
from ser.papt.kmeans import KMeans, fit_kmeans
from ser.papt.released_kmeans import read_pickled_kmeans
from ser.papt.unit_quality import UnitQuality

log = get_logger(__name__)

CENTROIDS, META, QUALITY = "centroids.safetensors", "meta.yaml", "quality.json"
# Raised when the numbers change, so that units of an older release are not taken for today's.
FORMAT = 1


@dataclass(frozen=True)
class UnitsConfig:
    """How k-means is fitted.

    Args:
        clusters: K; 100 for the first iteration of HuBERT (on MFCC), 500 for the second.
        sample_frames: frames drawn to fit on, over all utterances; 200,000 of width 768 are 614 MB.
        inits: starts of k-means++, of which the best goes on.
        seed: of the frames drawn and of k-means.
    """

    clusters: int = 100
    sample_frames: int = 200_000
    inits: int = 5
    seed: int = 0

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UserError: naming the option.
        """
        for name, least in (("clusters", 2), ("sample_frames", 2), ("inits", 1), ("seed", 0)):
            if getattr(self, name) < least:
                option = "--" + name.replace("_", "-")
                raise UserError(f"{option} must be at least {least}", value=getattr(self, name))


def make_units(
    sets: Sequence[FrameSet], fit_on: Sequence[FrameSet], out: Path, config: UnitsConfig
) -> dict[str, UnitQuality]:
    """Fit k-means to some of the sets, and write the units of all; what is up to date is kept.

    Args:
        sets: what gets units.
        fit_on: those of ``sets`` whose frames are fitted.
        out: ``exp/units/<name>``.
        config: how.

    Returns:
        Quality by set.

    Raises:
        UserError: an utterance in two of the fitted sets, fewer frames than clusters, broken frames.
    """
    config.check()
    fit_on = sorted(fit_on, key=lambda each: each.name)
    _check_disjoint(fit_on)
    about = {
        **asdict(sets[0].source),
        **asdict(config),
        "fitted_on": [each.name for each in fit_on],
        "fit_fingerprint": fingerprint(
            {"format": FORMAT, **asdict(config), "sets": [each.fingerprint() for each in fit_on]}
        ),
    }
    model = _fitted(out, about)
    if model is None:
        model = _fit(fit_on, config)
        _forget_units(out, keep=[each.name for each in sets])
        model.save(out / CENTROIDS, about)
    else:
        log.info("%s: centroids are up to date", out)
    found = _label(model, sets, out)
    on_fitted = functools.reduce(operator.add, (found[each.name] for each in fit_on))
    _write_meta(out, about, on_fitted.figures())
    return found


def label_units(sets: Sequence[FrameSet], init_from: Path, out: Path) -> dict[str, UnitQuality]:
    """Write the units of further sets with the centroids that another call fitted, or converted.

    Centroids that were converted know of no upstream; they become those of the first sets labelled.

    Args:
        sets: what gets units.
        init_from: ``exp/units/<name>`` with the centroids.
        out: where the units go; may be ``init_from``.

    Returns:
        Quality by set.

    Raises:
        UserError: frames of another upstream, layer or width than the centroids', or units of other
            centroids in ``out``.
    """
    model, about = KMeans.load(init_from / CENTROIDS)
    source = sets[0].source
    if known := _source_of(about):
        known.check_same(source, sets[0].meta_path)
    elif model.dim != source.dim or about.get("layer") not in (None, source.layer):
        raise UserError(
            f"centroids of width {model.dim}{_of_layer(about)}, frames of width {source.dim} of layer"
            f" {source.layer}", file=init_from / CENTROIDS,
        )  # fmt: skip
    bound = {**about, **asdict(source)} if known is None else about
    target = out / CENTROIDS
    if target.is_file() and KMeans.load(target)[1] not in (about, bound):
        raise UserError("units of other centroids are there", file=out, hint="Choose another --out")
    if known is None:
        model.save(target, bound)
        _write_meta(out, bound, None)
    elif out.resolve() != init_from.resolve():
        if not (init_from / META).is_file():
            raise UserError("no such file: the units there are not finished", file=init_from / META,
                            hint="Run the 'ser units' that made them again")  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        # To the byte: PAPT knows by the hash of meta.yaml that two folders' units are of one k-means.
        for name in (CENTROIDS, META):
            with open(init_from / name, "rb") as old, whole_file(out / name, "wb") as new:
                shutil.copyfileobj(old, new)
    return _label(model, sets, out)


def convert_units(pickled: Path, out: Path, allow_pickle: bool, layer: int | None = None) -> KMeans:
    """Turn a released k-means model into the centroids of ``out``, for ``label_units``.

    Args:
        pickled: scikit-learn's model, pickled by joblib.
        out: ``exp/units/<name>``.
        allow_pickle: the user's word that the pickle's code may run.
        layer: of the upstream it was fitted on, if known; labelling then refuses other layers.

    Raises:
        UserError: as ``read_pickled_kmeans``; other centroids are in ``out``.
    """
    model = read_pickled_kmeans(pickled, allow_pickle)
    about = {
        "layer": layer, "dim": model.dim, "clusters": model.clusters,
        "converted_from": {"file": pickled.name, "sha256": sha256(pickled)},
    }  # fmt: skip
    target = out / CENTROIDS
    if target.is_file():
        there = KMeans.load(target)[1]
        if there.get("converted_from") == about["converted_from"]:
            return model  # as it is: units may have been made with it
        raise UserError("other centroids are there", file=target, hint="Choose another --out")
    model.save(target, about)
    return model


def _check_disjoint(sets: Sequence[FrameSet]) -> None:
    """Refuse an utterance in two of the fitted sets: its frames would count twice."""
    seen: set[str] = set()
    for each in sets:
        if twice := sorted(seen.intersection(each.utterances)):
            raise UserError("utterance is in two of the sets to fit on", file=each.data, value=twice[0])
        seen.update(each.utterances)


def _fitted(out: Path, about: dict[str, Any]) -> KMeans | None:
    """The centroids in ``out`` if they are what would be fitted now."""
    if not (out / CENTROIDS).is_file():
        return None
    model, there = KMeans.load(out / CENTROIDS)
    return model if there == about else None


def _fit(sets: Sequence[FrameSet], config: UnitsConfig) -> KMeans:
    """Draw frames and fit."""
    sample = FrameSample(config.sample_frames, config.seed)
    progress = Progress(sum(len(each.utterances) for each in sets), "read frames")
    for each in sets:
        for utterance, frames in each:
            sample.add(utterance, frames)
            progress.advance()
    frames = sample.frames()
    log.info("k-means: %d clusters on %d of %d frames", config.clusters, len(frames), sample.seen)
    return fit_kmeans(frames, config.clusters, config.seed, config.inits)


def _forget_units(out: Path, keep: Sequence[str]) -> None:
    """Take away what was made with other centroids, before these are replaced."""
    (out / META).unlink(missing_ok=True)
    stale = sorted(out.glob("*/units.scp"))
    for scp in stale:
        scp.unlink()
    if others := [scp.parent.name for scp in stale if scp.parent.name not in keep]:
        log.warning("%s: units of other centroids are removed: %s", out, first_few(others))


def _label(model: KMeans, sets: Sequence[FrameSet], out: Path) -> dict[str, UnitQuality]:
    """Write units of every set that has none of these centroids."""
    found = {}
    for each in sets:
        folder = out / each.name
        made_of = {"centroids": sha256(out / CENTROIDS), "frames": each.fingerprint()}
        quality = _up_to_date(folder, made_of)
        if quality is None:
            quality = _label_set(model, each, folder)
            write_json(folder / QUALITY, {**quality.to_plain(), "made_of": made_of})
        else:
            log.info("%s: units are up to date", folder)
        found[each.name] = quality
    return found


def _label_set(model: KMeans, frame_set: FrameSet, folder: Path) -> UnitQuality:
    """Write units.ark and units.scp of a set."""
    quality = UnitQuality.empty(model.clusters)
    progress = Progress(len(frame_set.utterances), f"units {frame_set.name}")
    with ArkWriter(folder / "units") as writer:
        for utterance, frames in frame_set:
            labels, distances = model.assign(frames)
            writer.write(utterance, labels)
            quality.add(labels, distances)
            progress.advance()
    return quality


def _up_to_date(folder: Path, made_of: dict[str, Any]) -> UnitQuality | None:
    """The quality of a set whose units are there and made of these centroids and frames."""
    if not all((folder / name).is_file() for name in ("units.ark", "units.scp", QUALITY)):
        return None
    there = read_json(folder / QUALITY)
    return UnitQuality.from_plain(there) if there.get("made_of") == made_of else None


def _source_of(about: dict[str, Any]) -> FrameSource | None:
    """The source of centroids, or None where it is not known."""
    names = [field.name for field in fields(FrameSource)]
    return FrameSource(**{name: about[name] for name in names}) if set(names) <= set(about) else None


def _of_layer(about: dict[str, Any]) -> str:
    """`` of layer 9``, or nothing."""
    return "" if about.get("layer") is None else f" of layer {about['layer']}"


def _write_meta(out: Path, about: dict[str, Any], figures: dict[str, Any] | None) -> None:
    """Write meta.yaml, unless it is there as it should be: PAPT goes by its hash."""
    meta = {**about, **(figures or {}), "centroids_sha256": sha256(out / CENTROIDS)}
    if not (out / META).is_file() or read_yaml(out / META) != meta:
        write_yaml(out / META, meta)
