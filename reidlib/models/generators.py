"""What every generator has, and how one is made by name or from a saved file.

A generator is an ``nn.Module`` with

- ``kind``: "vector", "image" or "aligned", the key in `KINDS`;
- ``size``: (height, width) of the pictures;
- ``look(r1, images)``: what it needs of the sources (B, 3, H, W) in [-1, 1], a tensor
  of B rows: R1's features, or the pictures themselves;
- ``forward(source, poses)``: B such rows and poses (B, 50) → (B, 3, H, W) in [-1, 1];
- ``redraw(source, poses)``: B rows and poses (K, 50) → (B, K, 3, H, W), every source in
  every pose. In evaluation mode it equals ``forward`` on repeated inputs; what
  depends on the source only or on the pose only is computed once;
- ``config()``: its ``kind`` and the arguments that rebuild it, JSON types.
"""

from typing import Literal

from reidlib.errors import ReIDConfigError
from reidlib.models.aligned import AlignedGenerator
from reidlib.models.imagegan import ImageGenerator
from reidlib.models.layers import Norm
from reidlib.models.ptgan import Generator

PoseGenerator = Generator | ImageGenerator | AlignedGenerator
Kind = Literal["vector", "image", "aligned"]
KINDS: dict[str, type[PoseGenerator]] = {
    "vector": Generator,
    "image": ImageGenerator,
    "aligned": AlignedGenerator,
}


def make_generator(
    kind: str,
    features: int,
    size: tuple[int, int],
    *,
    ngf: int = 64,
    blocks: int = 9,
    norm: Norm | None = None,
    native_aspect: bool = False,
) -> PoseGenerator:
    """A new generator.

    Args:
        kind: key of `KINDS`.
        features: width of R1's features; only the vector generator has it.
        size: (height, width) of the pictures.
        ngf, blocks: base width and residual blocks.
        norm: None: the kind's own, "group" for the aligned, "instance" for the others.
        native_aspect: of the vector generator.

    Raises:
        ReIDConfigError: unknown kind, or a size that it cannot draw.
    """
    config: dict = {"kind": kind, "ngf": ngf, "blocks": blocks, "size": size}
    if kind == "vector":
        config |= {"features": features, "native_aspect": native_aspect}
    return build_generator(config | ({"norm": norm} if norm else {}))


def build_generator(config: dict) -> PoseGenerator:
    """The generator that a ``config()`` describes, with new weights.

    Args:
        config: as saved; one without a kind is an older file's, of a vector generator.

    Raises:
        ReIDConfigError: unknown kind, or arguments that this kind does not have.
    """
    arguments = {"kind": "vector"} | config
    kind = arguments.pop("kind")
    if kind not in KINDS:
        raise ReIDConfigError(
            f"There is no generator '{kind}'; choose one of {', '.join(KINDS)}."
        )
    try:
        return KINDS[kind](**arguments)
    except TypeError as error:
        raise ReIDConfigError(
            f"{sorted(arguments)} do not describe a generator of kind '{kind}' "
            f"({error}); give what config() of one returns."
        ) from error
