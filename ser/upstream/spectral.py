"""Spectral features under their bare names: S3PRL's own, less the normalisation of each utterance.

S3PRL's ``fbank``, ``mfcc``, ``mel``, ``linear`` and ``spectrogram`` bring every utterance to mean 0 and
deviation 1 in each dimension. Pooled over time, that leaves nothing: every utterance has the same mean
and deviation. So ``fbank`` here is S3PRL's with that step off, and ``s3prl:fbank`` is S3PRL's as it is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from ser.upstream import torchaudio_stub  # noqa: F401  (before s3prl, which imports torchaudio)
from ser.upstream.base import Upstream
from ser.upstream.s3prl import load_s3prl, quiet


def load_spectral(entry: str, name: str, tag: str) -> Upstream:
    """Build S3PRL's extracter of ``entry`` without its normalisation by utterance.

    Args:
        entry: one of ``ser.upstream.registry.SPECTRAL``.
        name: what the user called it.
        tag: its short name.
    """
    with quiet():
        import s3prl.upstream.baseline as baseline
    text = (Path(baseline.__file__).parent / f"{entry}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    if "kaldi" in config:
        config["cmvn"]["use_cmvn"] = False
    else:
        config["input"]["cmvn"] = False
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(_sorted(config), file)
        file.flush()
        return load_s3prl("baseline_local", file.name, name, tag)


def _sorted(config: Any) -> Any:
    """``config`` with its keys in order, at every depth.

    The file's hash is the upstream's. PyYAML sorts keys, until some library in the process (oyaml, which
    openSMILE brings) makes it keep them as they come.
    """
    if not isinstance(config, dict):
        return config
    return {key: _sorted(config[key]) for key in sorted(config)}
