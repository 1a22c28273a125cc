"""Encoders behind one interface: ``forward(wave (B, T), lengths (B,), speaker=None) -> HiddenStates``."""

from ser.upstream.registry import load_upstream, tag_of

__all__ = ["load_upstream", "tag_of"]
