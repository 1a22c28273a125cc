"""From an upstream's name to the upstream. Libraries are imported when a name asks for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ser.core.errors import UserError

if TYPE_CHECKING:
    from ser.upstream.base import Upstream

OPENSMILE = ("egemaps", "compare")
# S3PRL's, without its normalisation by utterance: see ser.upstream.spectral.
SPECTRAL = ("fbank", "mfcc", "mel", "linear", "spectrogram")
CONTEXT_30S = "30 s"


@dataclass(frozen=True)
class ParsedName:
    """A name taken apart: ``hf:<where>`` (or papt, finetuned), ``s3prl:<entry>[:<where>]`` or ``<entry>``."""

    library: str
    entry: str
    where: str | None = None


def parse_name(name: str) -> ParsedName:
    """Take a name apart.

    Raises:
        UserError: it is none.

    >>> parse_name("hf:models/whisper-base-encoder")
    ParsedName(library='hf', entry='', where='models/whisper-base-encoder')
    >>> parse_name("s3prl:hubert_local:exp/papt/encoder.pt")
    ParsedName(library='s3prl', entry='hubert_local', where='exp/papt/encoder.pt')
    """
    library, colon, rest = name.partition(":")
    if not colon:
        known = {**dict.fromkeys(OPENSMILE, "opensmile"), **dict.fromkeys(SPECTRAL, "spectral")}
        library, rest = known.get(name, "s3prl"), name
    if library in ("hf", "papt", "finetuned") and rest:
        return ParsedName(library, "", rest)
    if library == "s3prl" and rest:
        entry, _, where = rest.partition(":")
        return ParsedName("s3prl", entry, where or None)
    if (library == "opensmile" and rest in OPENSMILE) or (library == "spectral" and rest in SPECTRAL):
        return ParsedName(library, rest)
    raise UserError(
        "not the name of an upstream",
        value=name,
        hint="Write a S3PRL name (fbank, hubert_base), s3prl:<entry>:<checkpoint>, hf:<folder or hub name>,"
        " papt:<folder>, finetuned:<fold of an experiment>, egemaps or compare",
    )


def tag_of(name: str, context: str = "length") -> str:
    """The short name of an upstream, fit for a folder.

    >>> tag_of("hf:/a/b/whisper-base-encoder"), tag_of("fbank"), tag_of("s3prl:hubert_local:exp/e.pt")
    ('whisper-base-encoder', 'fbank', 'hubert_local-e')
    >>> tag_of("hf:/a/b/whisper-base-encoder", context="30 s")
    'whisper-base-encoder-30s'
    >>> tag_of("papt:exp/papt/emodb/encoder"), tag_of("papt:exp/papt/emodb")
    ('emodb', 'emodb')
    >>> tag_of("finetuned:exp/papt_finetune/seed0/fold1")
    'papt_finetune-seed0-fold1'
    """
    parsed = parse_name(name)
    last = None if parsed.where is None else PurePosixPath(parsed.where.rstrip("/")).name
    if parsed.library == "finetuned":
        last = "-".join(PurePosixPath(parsed.where).parts[-3:])
    if parsed.library == "papt" and last == "encoder":
        last = PurePosixPath(parsed.where.rstrip("/")).parent.name
    if parsed.library in ("hf", "papt", "finetuned"):
        tag = last or ""
    elif last is not None:
        tag = f"{parsed.entry}-{last.removesuffix(PurePosixPath(last).suffix)}"
    elif parsed.library == "s3prl" and parsed.entry in SPECTRAL:
        tag = f"{parsed.entry}-cmvn"
    else:
        tag = parsed.entry
    if context == CONTEXT_30S:
        tag += "-30s"
    tag = re.sub(r"[^\w.\-]+", "-", tag).strip("-.")
    if not tag:
        raise UserError("no folder can be named after this upstream", value=name)
    return tag


def load_upstream(name: str, device: str = "cpu", **options: Any) -> Upstream:
    """Load an upstream, in evaluation mode, frozen, on ``device``.

    Args:
        name: see :func:`parse_name`.
        device: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` (a GPU when there is one).
        options: ``context`` (``length`` or ``30 s``) for Whisper.

    Raises:
        UserError: no such upstream, or it cannot be loaded; the generators' states stay as they were.
    """
    from ser.core.seed import preserved_random_state

    context = options.pop("context", "length")
    if options:
        raise UserError(f"upstreams have no option '{next(iter(options))}'", hint="Known is: context")
    parsed = parse_name(name)
    if context != "length" and parsed.library != "hf":
        raise UserError(f"context '{context}' is Whisper's, and '{name}' is not Whisper", hint="Leave it out")
    device = resolve_device(device)
    with preserved_random_state():
        upstream = _load(parsed, name, tag_of(name, context), context)
        return upstream.eval().requires_grad_(False).to(device)


def _load(parsed: ParsedName, name: str, tag: str, context: str) -> Upstream:
    """Hand over to the family's module."""
    if parsed.library == "opensmile":
        from ser.upstream.opensmile import OpensmileUpstream

        return OpensmileUpstream(parsed.entry)
    if parsed.library == "spectral":
        from ser.upstream.spectral import load_spectral

        return load_spectral(parsed.entry, name, tag)
    if parsed.library == "s3prl":
        from ser.upstream.s3prl import load_s3prl

        return load_s3prl(parsed.entry, parsed.where, name, tag)
    if parsed.library == "papt":
        from ser.upstream.papt import load_papt

        return load_papt(parsed.where, name, tag)
    if parsed.library == "finetuned":
        from ser.upstream.fine_tuned import load_finetuned

        return load_finetuned(parsed.where, name, tag)
    from ser.upstream.huggingface import load_huggingface

    assert parsed.where is not None
    return load_huggingface(parsed.where, name, tag, context)


def resolve_device(device: str) -> str:
    """``auto`` as ``cuda`` or ``cpu``.

    Raises:
        UserError: a GPU is asked for where there is none.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.split(":")[0] not in ("cpu", "cuda"):
        raise UserError("no such device", value=device, hint="Known are: auto, cpu, cuda, cuda:<n>")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("there is no GPU that torch can use", value=device, hint="Use --device cpu")
    return device
