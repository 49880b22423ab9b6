"""Encoded pictures, made once per autoencoder: what the UNet is trained on."""

import random
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torch import Tensor

from .concepts import Concept
from .pictures import SIZE, anywhere, draw_emoji, jitter, place, to_tensor
from .progress import load_state, save_state
from .sources import digest_of

LARGE, SMALL, PLACED, HALVES, HUGE = 12, 6, 6, 4, 3


@dataclass
class Latents:
    """`large` [concepts, 12, 4, 16, 16], `small` [concepts, 6, 4, 8, 8], `huge` [concepts, 3, 4, 32, 32].

    `placed`, as large, are small objects anywhere in the picture: without them img2img moves everything to the middle.
    `left` and `right` [concepts, 4, 4, 16, 8] are halves of 128x128 pictures; any two make a pair.
    """

    large: Tensor
    small: Tensor
    placed: Tensor
    huge: Tensor
    left: Tensor
    right: Tensor


def fingerprint(autoencoder: AutoencoderTiny) -> str:
    """Short hash of the encoder's weights: latents of another encoder are of no use."""
    values = autoencoder.encoder.state_dict().values()
    return digest_of(value.detach().cpu().float().numpy().tobytes() for value in values)


def pictures_of(concepts: list[Concept]) -> str:
    """Short hash of the concepts' names and pictures: those of another list, font or place are of no use."""
    pictures = (to_tensor(place(draw_emoji(concept.character))).numpy().tobytes() for concept in concepts)
    return digest_of(part for pair in zip((c.name.encode() for c in concepts), pictures, strict=True) for part in pair)


@torch.no_grad()
def encode(autoencoder: AutoencoderTiny, pictures: list[Tensor]) -> Tensor:
    """Pictures of one size to latents [n, 4, h, w], float32 on the CPU."""
    device = next(autoencoder.parameters()).device
    parts = [torch.stack(pictures[i : i + 32]).to(device) for i in range(0, len(pictures), 32)]
    return torch.cat([autoencoder.encode(part).latents.float().cpu() for part in parts])


@torch.no_grad()
def decode(autoencoder: AutoencoderTiny, latents: Tensor) -> Tensor:
    """Latents to pictures [n, 3, h, w] in [-1, 1], float32 on the CPU."""
    device = next(autoencoder.parameters()).device
    return torch.cat([autoencoder.decode(part.to(device)).sample.float().cpu() for part in latents.split(32)]).clamp(
        -1, 1
    )


def half(emoji: Image.Image, right: bool, rng: random.Random | None = None) -> Image.Image:
    """The emoji in one half of a white picture; with `rng` a little smaller and moved."""
    ground = Image.new("RGB", (SIZE, SIZE), "white")
    change = {} if rng is None else {"scale": rng.uniform(0.9, 1.05), "shift": (0.0, rng.uniform(-0.08, 0.08))}
    ground.paste(place(emoji, SIZE, width=SIZE // 2, **change), (SIZE // 2 if right else 0, 0))
    return ground


def halves(autoencoder: AutoencoderTiny, emoji: list[Image.Image], right: bool, rng: random.Random) -> Tensor:
    """[n * HALVES, 4, 16, 8]: halves of encoded pictures whose other half is white, the first of each not moved.

    Two such halves make the latent of a pair but for what the encoder sees across the middle: white on both sides.
    """
    pictures = [to_tensor(half(one, right, rng if i else None)) for one in emoji for i in range(HALVES)]
    return encode(autoencoder, pictures).chunk(2, -1)[1 if right else 0].contiguous()


def views(emoji: Image.Image, count: int, size: int, rng: random.Random) -> list[Tensor]:
    """The centred picture twice among jittered ones, so that it stays the likeliest."""
    return [to_tensor(place(emoji, size))] * 2 + [to_tensor(jitter(emoji, rng, size)) for _ in range(count - 2)]


def make_latents(autoencoder: AutoencoderTiny, concepts: list[Concept], seed: int) -> Latents:
    """Encode everything."""
    rng = random.Random(f"{seed} latents")
    emoji = [draw_emoji(concept.character) for concept in concepts]
    large = encode(autoencoder, [view for one in emoji for view in views(one, LARGE, SIZE, rng)])
    small = encode(autoencoder, [view for one in emoji for view in views(one, SMALL, SIZE // 2, rng)])
    placed = encode(autoencoder, [to_tensor(anywhere(one, rng)) for one in emoji for _ in range(PLACED)])
    huge = encode(autoencoder, [view for one in emoji for view in views(one, HUGE, 2 * SIZE, rng)])
    left, right = (halves(autoencoder, emoji, side, rng) for side in (False, True))
    return Latents(*(bank.unflatten(0, (len(emoji), -1)) for bank in (large, small, placed, huge, left, right)))


def cached_latents(path: Path, autoencoder: AutoencoderTiny, concepts: list[Concept], seed: int) -> Latents:
    """From the file if its encoder and concepts are these, else made and kept."""
    counts = f"{LARGE} {SMALL} {PLACED} {HALVES} {HUGE}"
    key = f"{fingerprint(autoencoder)} {pictures_of(concepts)} {counts} {seed}"
    saved = load_state(path)
    if saved is not None and saved["key"] == key:
        return Latents(*(saved[field.name] for field in fields(Latents)))
    made = make_latents(autoencoder, concepts, seed)
    save_state(path, {"key": key, **vars(made)})
    return made
