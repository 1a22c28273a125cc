"""Where an encoder to pre-train comes from: one file a family, all giving a :class:`Source`."""

from ser.papt.encoders.load import load_source
from ser.papt.encoders.source import Heads, Source

__all__ = ["Heads", "Source", "load_source"]
