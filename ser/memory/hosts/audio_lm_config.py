"""placeholder until merged"""

from dataclasses import dataclass


@dataclass
class AudioLMConfig:
    def check(self) -> None: ...
