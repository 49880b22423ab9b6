"""Pictures: emoji drawn on a white ground, with small random changes of place and size."""

import random

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from .sources import font_path

FONT_SIZE = 109  # the only size of the bitmap font
SIZE = 128
COVER = 112 / 128  # share of the picture's side that the object's longer side covers
WHITE = (255, 255, 255)


def draw_emoji(character: str) -> Image.Image:
    """The emoji in RGBA, cropped to what is not transparent."""
    font = ImageFont.truetype(str(font_path()), FONT_SIZE)
    canvas = Image.new("RGBA", (160, 160), (255, 255, 255, 0))
    ImageDraw.Draw(canvas).text((12, 12), character, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None or box[2] - box[0] < 20:
        raise ValueError(f"the font has no picture for {character!r}")
    return canvas.crop(box)


def place(
    emoji: Image.Image,
    size: int = SIZE,
    scale: float = 1.0,
    shift: tuple[float, float] = (0, 0),
    width: int | None = None,
) -> Image.Image:
    """Centre the emoji on a white ground of size x (width or size) pixels; `shift` is a share of the size."""
    width = size if width is None else width
    factor = min(size, width) * COVER * scale / max(emoji.size)
    target = (max(1, round(emoji.width * factor)), max(1, round(emoji.height * factor)))
    ground = Image.new("RGB", (width, size), WHITE)
    resized = emoji.resize(target, Image.Resampling.LANCZOS)
    corner = (round((width - target[0]) / 2 + shift[0] * size), round((size - target[1]) / 2 + shift[1] * size))
    ground.paste(resized, corner, resized)
    return ground


def jitter(emoji: Image.Image, rng: random.Random, size: int = SIZE) -> Image.Image:
    """The emoji a little smaller and moved a little, so that seeds have something to differ in."""
    scale = rng.uniform(0.92, 1.03)
    shift = (rng.uniform(-0.025, 0.025), rng.uniform(-0.025, 0.025))
    return place(emoji, size, scale, shift)


def anywhere(emoji: Image.Image, rng: random.Random, size: int = SIZE) -> Image.Image:
    """The emoji at 45 to 80 % of its size, at any place where all of it is in the picture."""
    scale = rng.uniform(0.45, 0.8)
    room = (1 - COVER * scale) / 2
    return place(emoji, size, scale, (rng.uniform(-room, room), rng.uniform(-room, room)))


def to_tensor(image: Image.Image) -> torch.Tensor:
    """[3, height, width] in [-1, 1]."""
    array = np.asarray(image, dtype=np.float32) / 127.5 - 1
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def to_image(tensor: torch.Tensor) -> Image.Image:
    """The inverse of to_tensor, rounded to nearest."""
    array = (tensor.detach().float().clamp(-1, 1) + 1) * 127.5 + 0.5
    return Image.fromarray(array.permute(1, 2, 0).to(torch.uint8).numpy())
