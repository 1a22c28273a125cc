"""What ``ser prepare validate`` says of a data directory."""

from __future__ import annotations

import os
from collections import Counter

from ser.core.errors import UserError
from ser.core.log import clock
from ser.data.datadir import DataDir, examine
from ser.data.validate import audio_problems, unlabelled
from ser.data.wording import counted


def validate(path: str | os.PathLike[str], wav: bool = True) -> list[UserError]:
    """All mistakes in a data directory, one for each rule that is broken.

    Malformed files hide the mistakes between files, and those the ones in the audio.

    Args:
        path: the data directory.
        wav: also read the header of every audio file.
    """
    data, problems = examine(path)
    if wav and not problems and data is not None:
        problems = audio_problems(data)
    return problems


def summary(path: str | os.PathLike[str]) -> str:
    """What a valid data directory holds, a few lines."""
    data = DataDir.load(path)
    utterances, speakers = counted(len(data.utt2spk), "utterance"), counted(len(data.spk2utt), "speaker")
    lines = [f"{data.path}: valid; {utterances}, {speakers}"]
    if "utt2dur" in data.tables:
        seconds = data.numbers("utt2dur").values()
        lines[0] += f", {clock(sum(seconds))} of speech ({min(seconds):.1f} to {max(seconds):.1f} s)"
    if classes := Counter(data.classes_of().values()):
        lines.append("  classes: " + ", ".join(f"{name} {classes[name]}" for name in data.labels.classes))
    for name, limits in data.labels.attributes.items():
        if f"utt2{name}" in data.tables:
            values = data.attribute(name).values()
            shown = f"{min(values):g} to {max(values):g}, mean {sum(values) / len(values):.3g}"
            derived = ", derived" if name in data.labels.derived else ""
            lines.append(f"  {name}: {shown} (range {limits.min:g} to {limits.max:g}{derived})")
    lines += [f"  {table} lacks {counted(count, 'utterance')}" for table, count in unlabelled(data).items()]
    return "\n".join(lines)
