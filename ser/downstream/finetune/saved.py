"""A fine-tuned model on disk: what training has set, the options, and which upstream it belongs on.

model.safetensors holds the trained parameters of the encoder and the whole head, nothing else: the rest is
the base upstream, by the hash of its weights. Both together are the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from ser.core.errors import UserError
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.finetune.batches import AudioSet, divide, read_batch
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig, PoolingConfig
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.saved import Scale, in_label_units
from ser.engine.checkpoint import read_metadata, read_state, save_state
from ser.engine.effective_batch import MicroBatch, gather_vectors
from ser.features.extract import prefetch
from ser.upstream.base import Upstream

# Utterances whose audio is in memory at once when nothing is learnt.
PREDICTION_BATCH = 128
KIND = "fine-tuned"


@dataclass
class FineTuned:
    """One fold's model and what its outputs mean.

    Args:
        model: encoder and head.
        interpreter: the options that the head was built with.
        classes: names of the first K outputs.
        attributes: names of the others, each with the scale it was learnt on.
        pooling: the options that the pooling was built with.
        side: what the model is told of gender and words.
    """

    model: EndToEnd
    interpreter: InterpreterConfig
    classes: list[str]
    attributes: dict[str, Scale]
    pooling: PoolingConfig = field(default_factory=PoolingConfig)
    side: SideOptions = field(default_factory=SideOptions)

    def predict_audio(
        self, audio: AudioSet, utterances: Sequence[str], micro_seconds: float, accelerator: Accelerator
    ) -> tuple[Tensor, Tensor]:
        """Vectors ``(n, D)`` and predictions ``(n, K + A)`` of whole utterances, the same in every process.

        Args:
            audio: of the utterances.
            utterances: n of them, in the order of the result.
            micro_seconds: bound on the audio that the encoder is given at once.
            accelerator: shares the work among processes.

        Raises:
            UserError: for broken audio.
        """

        def read(batch: Sequence[str]) -> tuple[Sequence[str], list[MicroBatch]]:
            mine = divide(audio, batch, micro_seconds, 0.0, accelerator)
            return batch, read_batch(audio, batch, mine, side=audio.side(batch))

        def encode(waves: Waves) -> Tensor:
            with accelerator.autocast():
                return self.model.embed(waves)

        model, dim, vectors = self.model.eval(), self.model.dim, []
        groups = [utterances[i : i + PREDICTION_BATCH] for i in range(0, len(utterances), PREDICTION_BATCH)]
        with torch.no_grad():
            for batch, micro in prefetch(read, groups, 1):
                vectors.append(gather_vectors(encode, micro, len(batch), dim, accelerator))
            together = torch.cat(vectors)
            outputs = model.head(model.inputs(together, audio.side(utterances, together.device)))
            return together.cpu(), in_label_units(outputs, self.attributes).cpu()

    def save(self, path: Path, state: dict[str, Tensor]) -> None:
        """Write one safetensors file with ``state`` (of ``EndToEnd.trained_state``), whole or not at all."""
        info = self.model.upstream.info
        metadata = {
            "kind": KIND,
            "upstream": {"tag": info.tag, "family": info.family, "checkpoint": info.checkpoint},
            "encoder": asdict(self.model.config),
            "pooling": asdict(self.pooling),
            "interpreter": asdict(self.interpreter),
            "classes": self.classes,
            "attributes": {name: asdict(scale) for name, scale in self.attributes.items()},
        }
        if self.side:
            metadata["side"] = asdict(self.side)
        save_state(path, state, metadata)

    @classmethod
    def load(cls, path: Path, upstream: Upstream, speakers: Sequence[str]) -> FineTuned:
        """Put what ``save`` wrote onto its base upstream, which is changed by it.

        Args:
            path: model.safetensors.
            upstream: freshly loaded.
            speakers: one whom a personalised encoder knows.

        Raises:
            UserError: when it is missing, broken, or was trained on another upstream.
        """
        metadata = read_metadata(path)
        if metadata.get("kind") != KIND:
            raise UserError("not a fine-tuned model", file=path, hint="Run 'ser finetune'")
        wanted = metadata["upstream"]
        if wanted["checkpoint"] != upstream.info.checkpoint:
            raise UserError(
                f"fine-tuned from another upstream: {wanted['tag']}, checkpoint {wanted['checkpoint']}",
                file=path, value=f"{upstream.info.name}, checkpoint {upstream.info.checkpoint}",
                hint="Use the upstream it was trained on",
            )  # fmt: skip
        attributes = {name: Scale(**scale) for name, scale in metadata["attributes"].items()}
        interpreter = InterpreterConfig(**metadata["interpreter"])
        outputs = len(metadata["classes"]) + len(attributes)
        encoder = EncoderConfig.from_plain(metadata["encoder"])
        pooling = PoolingConfig(**metadata.get("pooling", {}))  # models of before had none
        side = SideOptions.from_plain(metadata.get("side"))
        model = EndToEnd(upstream, encoder, interpreter, outputs, speakers, pooling, side)
        try:
            model.load_trained_state(read_state(path))
        except RuntimeError as error:
            raise UserError("the checkpoint does not fit the model", file=path, value=error) from None
        model.merge_adapters()
        return cls(model.eval(), interpreter, metadata["classes"], attributes, pooling, side)
