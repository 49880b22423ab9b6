"""Encoded pictures, made once per autoencoder: what the UNet is trained on."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torch import Tensor

from .concepts import Concept
from .pictures import SIZE, anywhere, draw_emoji, jitter, place, to_tensor
from .progress import load_state, save_state

LARGE, SMALL, PLACED, PAIRS = 12, 6, 6, 840


@dataclass
class Latents:
    """`large` [concepts, 12, 4, 16, 16], `small` [concepts, 6, 4, 8, 8], `placed` as large, `pairs` [n, 4, 16, 16].

    `placed` are small objects anywhere in a large picture: without them img2img moves everything to the middle.
    """

    large: Tensor
    small: Tensor
    placed: Tensor
    pairs: Tensor
    pair_of: list[tuple[int, int]]


def fingerprint(autoencoder: AutoencoderTiny) -> str:
    """Short hash of the encoder's weights: latents of another encoder are of no use."""
    digest = hashlib.sha256()
    for value in autoencoder.encoder.state_dict().values():
        digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


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


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two emoji in the halves of one picture."""
    ground = Image.new("RGB", (SIZE, SIZE), "white")
    ground.paste(place(left, SIZE, width=SIZE // 2), (0, 0))
    ground.paste(place(right, SIZE, width=SIZE // 2), (SIZE // 2, 0))
    return ground


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
    everyone = list(range(len(emoji)))
    pair_of: list[tuple[int, int]] = []
    for _ in range(min(PAIRS, 4 * len(everyone))):
        left, right = rng.sample(everyone, 2)
        pair_of.append((left, right))
    pairs = encode(autoencoder, [to_tensor(side_by_side(emoji[a], emoji[b])) for a, b in pair_of])
    count = len(emoji)
    banks = [bank.unflatten(0, (count, -1)) for bank in (large, small, placed)]
    return Latents(*banks, pairs, pair_of)


def cached_latents(path: Path, autoencoder: AutoencoderTiny, concepts: list[Concept], seed: int) -> Latents:
    """From the file if its encoder and concepts are these, else made and kept."""
    key = f"{fingerprint(autoencoder)} {len(concepts)} {LARGE} {SMALL} {PLACED} {PAIRS} {seed}"
    saved = load_state(path)
    if saved is not None and saved["key"] == key:
        banks = [saved[name] for name in ("large", "small", "placed", "pairs")]
        return Latents(*banks, [(a, b) for a, b in saved["pair_of"]])
    made = make_latents(autoencoder, concepts, seed)
    save_state(path, {"key": key, **vars(made)})
    return made
