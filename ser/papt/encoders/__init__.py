"""Where an encoder to pre-train comes from: one file a family, all giving a :class:`Source`."""

from ser.papt.encoders.source import Heads, Source, load_source

__all__ = ["Heads", "Source", "load_source"]
