"""Whether a wav file holds as many bytes as its header says.

libsndfile shortens a truncated wav to what is there and says nothing, so the chunks are walked here
(RIFF, little-endian; RF64 keeps its 64-bit sizes in the chunk ``ds64``: EBU Tech 3306).
"""

from __future__ import annotations

import os
import struct


def missing_bytes(path: str | os.PathLike[str]) -> int:
    """Bytes of samples that a wav's header promises and the file lacks; 0 for any other format.

    Raises:
        OSError: when the file cannot be read.
    """
    with open(path, "rb") as stream:
        head = stream.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
            return 0
        size_of_file = os.fstat(stream.fileno()).st_size
        wide_size = None
        while len(chunk := stream.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                if wide_size is not None and size == 0xFFFFFFFF:
                    size = wide_size
                elif _is_unknown(size):
                    return 0
                return max(0, stream.tell() + size - size_of_file)
            if name == b"ds64" and size >= 16:
                wide = stream.read(16)
                if len(wide) < 16:
                    return size - len(wide)
                (wide_size,) = struct.unpack("<8xQ", wide)
                size -= 16
            stream.seek(size + size % 2, os.SEEK_CUR)
        return 0


def _is_unknown(size: int) -> bool:
    """Whether a size of the data chunk stands for "not known".

    A writer into a pipe cannot come back to fill it in: ffmpeg leaves nearly 4 GiB there, sox 2.
    """
    return 0x7FFF0000 <= size < 0x80000000 or size >= 0xFFFF0000
