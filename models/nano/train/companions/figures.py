"""What a companion does, in figures: `python -m train.companions.figures NARROW FOLDER [--out JSON]`.

The companions are put into the narrow network as their training does, from lifted files: every r-th row and column.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..concepts import Concept, read_annotations
from ..config import best_device
from ..figures import originals
from ..latents import encode
from ..measure import concepts_of, write_figures
from ..narrow import Narrow, load_narrow
from ..nearest import centred, nearest_by_latent
from ..networks import TEXT_RATIO, UNET_RATIO
from ..pictures import draw_emoji, place, to_tensor
from ..sampling import Request, Sampler
from ..sources import annotations_path
from ..tokens import Tokenizer
from . import hypernetwork, inversion, lora
from .__main__ import NEAREST_WORD, NEW_CONCEPT
from .styles import ink, sepia

SEEDS = tuple(range(1, 17))


def style_figures(model: Narrow, sampler: Sampler, concepts: list[Concept], style: object, plain: Tensor) -> dict:
    """`colourError`: mean distance of a picture from itself in the style (0: all of it is), without and with the
    companion; `top1`: share nearest to their own concept's picture in the style."""
    drawn = sampler.pictures([Request(concept.name, 1) for concept in concepts])
    known = torch.stack([style(picture) for picture in originals(concepts)])
    found = nearest_by_latent(
        encode(model.autoencoder, list(centred(drawn))), encode(model.autoencoder, list(centred(known)))
    )

    def error(pictures: Tensor) -> float:
        return torch.stack([(picture - style(picture)).abs().mean() for picture in pictures]).mean().item()

    hits = (found == torch.arange(len(concepts))).float().mean().item()
    return {"colourErrorWithout": error(plain), "colourError": error(drawn), "top1": hits}


def put_lora(model: Narrow, path: Path) -> list:
    """The narrow pairs of a lifted file."""
    adapters, hooks = lora.attach(model.unet)
    file = load_file(path)
    for name, adapter in adapters.items():
        base = lora.kohya_name(name)
        ratio = TEXT_RATIO if name.endswith(("attn2.to_k", "attn2.to_v")) else UNET_RATIO
        scale = UNET_RATIO**0.5 if name.endswith("to_q") else 1.0
        adapter.down.data.copy_(file[f"{base}.lora_down.weight"].float()[:, ::ratio])
        adapter.up.data.copy_(file[f"{base}.lora_up.weight"].float()[::UNET_RATIO] * scale)
    return hooks


def put_hypernetwork(model: Narrow, path: Path) -> list:
    """The narrow pair of a lifted file."""
    nets, hooks = hypernetwork.attach(model.unet)
    for net, state in zip(nets, torch.load(path, weights_only=True)[hypernetwork.WIDTH], strict=True):
        net[0].weight.data.copy_(state["linear.0.weight"][:, ::TEXT_RATIO])
        net[0].bias.data.copy_(state["linear.0.bias"])
        net[2].weight.data.copy_(state["linear.2.weight"][::TEXT_RATIO])
        net[2].bias.data.copy_(state["linear.2.bias"][::TEXT_RATIO])
    return hooks


def put_embedding(model: Narrow, tokenizer: Tokenizer, path: Path) -> list:
    """The vectors of a lifted file."""
    vectors, hook = inversion.attach(model, tokenizer, NEAREST_WORD)
    vectors.data.copy_(load_file(path)["emb_params"][:, ::TEXT_RATIO])
    return [hook]


def embedding_figures(model: Narrow, sampler: Sampler, concepts: list[Concept]) -> dict:
    """`top1`: share of 16 seeds nearest to the new concept's picture, among it and all that the model knows."""
    characters, _ = read_annotations(annotations_path())
    new = to_tensor(place(draw_emoji(characters[NEW_CONCEPT])))[None]
    known = torch.cat([originals(concepts), new])
    drawn = sampler.pictures([Request(inversion.PLACEHOLDER, seed) for seed in SEEDS])
    found = nearest_by_latent(
        encode(model.autoencoder, list(centred(drawn))), encode(model.autoencoder, list(centred(known)))
    )
    return {"seeds": len(SEEDS), "top1": (found == len(concepts)).float().mean().item()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.companions.figures", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, tokenizer = load_narrow(options.file).to(best_device()), Tokenizer()
    concepts = concepts_of(options.file)
    sampler = Sampler(model, tokenizer)
    plain = sampler.pictures([Request(concept.name, 1) for concept in concepts])
    result: dict = {"file": options.file.name}
    for name, style, put, file in (
        ("lora", ink, put_lora, "ink-lora.safetensors"),
        ("hypernetwork", sepia, put_hypernetwork, "sepia-hypernetwork.pt"),
    ):
        hooks = put(model, options.folder / file)
        result[name] = style_figures(model, sampler, concepts, style, plain)
        for hook in hooks:
            hook.remove()
    put_embedding(model, tokenizer, options.folder / "blue-heart-embedding.safetensors")
    result["embedding"] = embedding_figures(model, sampler, concepts)
    write_figures(result, options.out)


if __name__ == "__main__":
    main()
