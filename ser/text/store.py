"""Embeddings of a data directory's transcripts on disk: feats/<tag>/<set>/embedding.scp and meta.yaml.

An utterance without words (no line in ``text``, or Kaldi's ``<unk>``) has no entry: what stands for it is
learnt where it is used. meta.yaml, written last, has the fingerprint of weights, settings and token numbers;
where it is the same, nothing is done again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ser.core.errors import UserError
from ser.core.files import read_yaml, write_text, write_yaml
from ser.core.log import get_logger
from ser.data.arks import ArkReader, ArkWriter
from ser.data.datadir import NO_TEXT, DataDir
from ser.data.wording import counted

if TYPE_CHECKING:
    from ser.text.encoder import TextEncoder

log = get_logger(__name__)

# Raised when the numbers change, so that embeddings of an older release are not taken for today's.
FORMAT = 1
STEM = "embedding"


def transcripts(data: DataDir) -> dict[str, str]:
    """Utterance -> its words, of the utterances that have any, in C order."""
    table = data.tables.get("text", {})
    return {name: words for name in data.utterances if (words := table.get(name, NO_TEXT)) != NO_TEXT}


def extract_text(data: DataDir, out: Path, encoder: TextEncoder) -> int:
    """Write the embeddings of a data directory's transcripts, if they are not there; return how many.

    Args:
        data: with ``text``.
        out: feats/<tag>/<set>.
        encoder: on the device where it is to run.

    Where no utterance has one, there are none, with a warning: such a set can be tested, not learnt from.
    """
    words = transcripts(data)
    if not words:
        log.warning("%s: no utterance has a transcript; 'ser asr' recognises them", data.path)
    ids, cut = encoder.tokens(list(words.values())) if words else ([], 0)
    info = asdict(encoder.info)
    facts = {key: value for key, value in info.items() if key not in ("name", "tag")}
    facts |= {"format": FORMAT, "config": encoder.settings, "tokens": dict(zip(words, ids, strict=True))}
    fingerprint = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    if is_made(out, fingerprint):
        log.info("%s: made already", out)
        return len(words)
    (out / "meta.yaml").unlink(missing_ok=True)
    if words:
        vectors = encoder.embed(list(words.values())).numpy()
        with ArkWriter(out / STEM) as writer:
            for utterance, vector in zip(words, vectors, strict=True):
                writer.write(utterance, vector)
    else:
        for ending in ("ark", "scp"):
            write_text(out / f"{STEM}.{ending}", "")
    meta = {"encoder": info.pop("name"), **info, "pooling": "mean", "precision": "float32"}
    meta |= {"utterances": len(words), "without_text": len(data.utterances) - len(words), "cut": cut}
    write_yaml(out / "meta.yaml", {**meta, "fingerprint": fingerprint})
    if cut:
        log.warning("%s: %s cut to %d tokens", out, counted(cut, "text"), encoder.info.max_tokens)
    return len(words)


def is_made(out: Path, fingerprint: str) -> bool:
    """Whether embeddings of this fingerprint are there."""
    try:
        return read_yaml(out / "meta.yaml")["fingerprint"] == fingerprint and (out / f"{STEM}.scp").is_file()
    except (UserError, KeyError, TypeError):
        return False


def embeddings_fingerprint(feats: Path) -> str:
    """Of what the embeddings of a folder were made; arguments and errors as those of ``read_embeddings``."""
    read_embeddings(feats)
    return str(read_yaml(feats / "meta.yaml").get("fingerprint"))


def read_embeddings(feats: Path) -> ArkReader | None:
    """The embeddings of a folder; None where no utterance has words.

    Raises:
        UserError: when there are none, or they are unfinished.
    """
    for name in ("meta.yaml", f"{STEM}.scp"):
        if not (feats / name).is_file():
            hint = "Run stage 4 (extract-text): 'ser text DATA --encoder hf:<folder> --out FEATS'"
            raise UserError("no embeddings of transcripts", file=feats / name, hint=hint)
    scp = feats / f"{STEM}.scp"
    return ArkReader(scp) if scp.stat().st_size else None
