"""emotion2vec+ (Ma et al. 2024, "emotion2vec: Self-Supervised Pre-Training ...", arXiv 2312.15185).

    p = softmax(W mean_t x_t + b)

of the encoder's last hidden state x, over the classes of tokens.txt. Slots that a release does not use are
named ``unuse_0`` and so on there: they are left out of the softmax, as FunASR does. FunASR itself is not
needed: its folder (config.yaml, tokens.txt, model.pt) is read here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.pooling import masked_mean
from ser.peers.base import Peer, split_outputs
from ser.peers.config import PeerConfig
from ser.peers.emotion2vec_encoder import Emotion2vecEncoder, Emotion2vecSizes
from ser.peers.files import SAFE, PeerFiles, Settings, Tensors
from ser.upstream.base import Upstream, UpstreamInfo
from ser.upstream.checkpoint import hash_files
from ser.upstream.registry import tag_of

RATE = 16000
AUDIO = "modality_encoders.AUDIO."
# What the encoder's tensors are called in the release; blocks aside, which come in two rows.
NAMES = (
    (r"convolutions\.(\d+)\.conv\.", AUDIO + r"local_encoder.conv_layers.\1.0."),
    (r"convolutions\.(\d+)\.layer_norm\.", AUDIO + r"local_encoder.conv_layers.\1.2.1."),
    (r"feature_norm\.", AUDIO + "project_features.1."),
    (r"feature_projection\.", AUDIO + "project_features.2."),
    (r"(extra_tokens|alibi_scale)$", AUDIO + r"\1"),
    (r"input_norm\.", AUDIO + "context_encoder.norm."),
)
PARTS = {"qkv": "attn.qkv", "proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
PREFIX = "d2v_model."  # before all but the head's, where the weights come from fine-tuning
UNUSED, UNKNOWN = "unuse", "unknown"
MOST_CONVOLUTIONS = 32


class Emotion2vec(Peer):
    """Mean over time, one linear layer.

    Args:
        encoder: emotion2vec.
        classes: names of the outputs that are used.
        rows: their rows among the outputs.
        outputs: number of rows.
    """

    def __init__(self, encoder: Upstream, classes: Sequence[str], rows: Sequence[int], outputs: int) -> None:
        super().__init__(encoder, classes, [])
        self.proj = nn.Linear(encoder.info.dim, outputs)
        self.register_buffer("rows", torch.tensor(rows), persistent=False)

    def head(self, x: Tensor, frames: Tensor) -> Tensor:
        """See :meth:`Peer.head`."""
        return self.proj(masked_mean(x, frames))[:, self.rows]


def load_emotion2vec(config: PeerConfig) -> Emotion2vec:
    """Read ``config.yaml``, ``tokens.txt`` and the weights.

    Raises:
        UserError: naming the file and the key.
    """
    files = PeerFiles(config.model, weights=(SAFE, "model.pt"))
    settings = files.settings("config.yaml")
    tokens = files.path("tokens.txt")
    names = [class_of(line) for line in files.lines(tokens.name)]
    rows = [row for row, name in enumerate(names) if not name.startswith(UNUSED)]
    classes, attributes = split_outputs([names[row] for row in rows], config, tokens)
    if attributes or len(classes) < 2:
        raise UserError("emotion2vec has classes, two at least", file=tokens, value=", ".join(names))
    sizes, prenet = read_sizes(settings)
    tensors = without_prefix(files.tensors)
    state = {name: tensors.get(key, shape) for name, key, shape in wanted(sizes, prenet)}
    refuse_more_blocks(tensors, sizes.blocks, prenet)
    hop = 1
    for _, _, stride in sizes.convolutions:
        hop *= stride
    info = UpstreamInfo(
        name=config.model, tag=tag_of(f"hf:{config.model}"), family="emotion2vec", sample_rate=RATE,
        frame_rate=RATE / hop, num_layers=sizes.blocks + 1, dim=sizes.dim,
        parameters=sum(tensor.numel() for tensor in state.values()),
        checkpoint=hash_files([files.weight_file]),
    )  # fmt: skip
    encoder = Emotion2vecEncoder(sizes, info, settings.get("model_conf.normalize", bool))
    encoder.load_state_dict(state)
    peer = Emotion2vec(encoder, classes, rows, len(names))
    tensors.fill(peer.proj, "proj.")
    return peer


def class_of(token: str) -> str:
    """The English name in a line of tokens.txt.

    >>> class_of("生气/angry"), class_of("<unk>"), class_of("unuse_0")
    ('angry', 'unknown', 'unuse_0')
    """
    name = token.strip().rpartition("/")[2]
    return UNKNOWN if name == "<unk>" else name


def read_sizes(settings: Settings) -> tuple[Emotion2vecSizes, int]:
    """Sizes of the architecture, and the blocks of the prenet.

    Raises:
        UserError: a key is missing, or the architecture is another one.
    """
    model, audio = "model_conf.", "model_conf.modalities.audio."
    for key, value in (
        (f"{model}layer_norm_first", False), (f"{audio}conv_pos_pre_ln", False),
        (f"{audio}use_alibi_encoder", True),
        (f"{audio}learned_alibi", False), (f"{audio}learned_alibi_scale_per_layer", False),
        (f"{audio}learned_alibi_scale_per_head", True), (f"{audio}extractor_mode", "layer_norm"),
    ):  # fmt: skip
        settings.expect(key, value)
    dim, heads = (positive(settings, f"{model}{name}") for name in ("embed_dim", "num_heads"))
    if dim % heads:
        raise UserError(
            "model_conf.embed_dim is no multiple of num_heads", file=settings.path, value=f"{dim}, {heads}"
        )
    settings.expect(f"{audio}num_alibi_heads", heads)
    prenet = positive(settings, f"{audio}prenet_depth")
    positions = positive(settings, f"{audio}conv_pos_depth")
    kernel = max(3, positive(settings, f"{audio}conv_pos_width") // positions)
    spec = settings.get(f"{audio}feature_encoder_spec", str)
    sizes = Emotion2vecSizes(
        dim=dim,
        heads=heads,
        blocks=prenet + positive(settings, f"{model}depth"),
        feed_forward=round(dim * settings.get(f"{model}mlp_ratio", (int, float))),
        tokens=positive(settings, f"{audio}num_extra_tokens"),
        convolutions=parse_spec(spec, settings),
        positions=positions,
        position_kernel=kernel,
        position_groups=positive(settings, f"{audio}conv_pos_groups"),
        epsilon=small(settings, f"{model}norm_eps"),
    )
    if kernel % 2 == 0 or dim % sizes.position_groups:
        raise UserError(
            "a position embedding of an even kernel, or uneven groups", file=settings.path, value=kernel
        )
    return sizes, prenet


def small(settings: Settings, key: str) -> float:
    """A number above 0; YAML takes ``1e-05``, which has no dot, for a word.

    Raises:
        UserError: it is none.
    """
    value = settings.get(key, (int, float, str))
    try:
        if 0 < (number := float(value)) < 1:
            return number
    except ValueError:
        pass
    raise UserError(f"{key} must be above 0 and small", file=settings.path, value=value)


def positive(settings: Settings, key: str) -> int:
    """A whole number above 0.

    Raises:
        UserError: it is none.
    """
    value = settings.get(key, int)
    if value < 1:
        raise UserError(f"{key} must be above 0", file=settings.path, value=value)
    return value


def parse_spec(spec: str, settings: Settings) -> list[tuple[int, int, int]]:
    """The front end as fairseq writes it: lists of (channels, kernel, stride), added and multiplied.

    The text is read, never run.

    Raises:
        UserError: it is anything else.

    >>> parse_spec("[(512, 10, 5)] + [(512, 3, 2)] * 2", None)
    [(512, 10, 5), (512, 3, 2), (512, 3, 2)]
    """

    def value(node: ast.expr) -> list[tuple[int, int, int]]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Mult)
            and isinstance(node.right, ast.Constant)
            and 0 < int(node.right.value) <= MOST_CONVOLUTIONS
        ):
            return value(node.left) * int(node.right.value)
        if isinstance(node, ast.List):
            layers = ast.literal_eval(node)
            if all(isinstance(one, tuple) and len(one) == 3 for one in layers):
                return [(int(a), int(b), int(c)) for a, b, c in layers if min(a, b, c) > 0]
        raise ValueError("neither a list of triples, a sum nor a product")

    try:
        layers = value(ast.parse(spec.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            "feature_encoder_spec is no list of convolutions", file=settings.path, value=error
        ) from None
    if not 0 < len(layers) <= MOST_CONVOLUTIONS:
        raise UserError("feature_encoder_spec is no list of convolutions", file=settings.path, value=spec)
    return layers


def without_prefix(tensors: Tensors) -> Tensors:
    """The weights without ``d2v_model.`` before their names."""
    return Tensors(tensors.path, {key.removeprefix(PREFIX): value for key, value in tensors.state.items()})


def wanted(sizes: Emotion2vecSizes, prenet: int) -> list[tuple[str, str, torch.Size]]:
    """(our name, the release's name, shape) of every tensor of the encoder."""
    with torch.device("meta"):
        blank = Emotion2vecEncoder(sizes, None, True)  # type: ignore[arg-type]  # shapes alone
    return [(name, released(name, prenet), value.shape) for name, value in blank.state_dict().items()]


def released(name: str, prenet: int) -> str:
    """The release's name of one of our tensors.

    >>> released("blocks.4.fc1.weight", prenet=4), released("blocks.0.norm1.bias", prenet=4)
    ('blocks.0.mlp.fc1.weight', 'modality_encoders.AUDIO.context_encoder.blocks.0.norm1.bias')
    """
    if block := re.match(r"blocks\.(\d+)\.(\w+)\.(\w+)$", name):
        place, part = int(block[1]), PARTS.get(block[2], block[2])
        row = f"{AUDIO}context_encoder.blocks.{place}" if place < prenet else f"blocks.{place - prenet}"
        return f"{row}.{part}.{block[3]}"
    if place := re.match(r"positions\.(\d+)\.(\w+)$", name):
        return f"{AUDIO}relative_positional_encoder.{int(place[1]) + 1}.0.{place[2]}"
    for ours, theirs in NAMES:
        if re.match(ours, name):
            return re.sub(ours, theirs, name)
    raise AssertionError(name)


def refuse_more_blocks(tensors: Tensors, blocks: int, prenet: int) -> None:
    """Raise when the weights hold blocks that config.yaml does not count.

    Raises:
        UserError: naming one of their tensors.
    """
    for row, depth in ((rf"{re.escape(AUDIO)}context_encoder\.blocks", prenet), ("blocks", blocks - prenet)):
        for key in tensors.state:
            found = re.match(rf"{row}\.(\d+)\.", key)
            if found and int(found[1]) >= depth:
                raise UserError(f"more blocks than the {depth} of config.yaml", file=tensors.path, value=key)
