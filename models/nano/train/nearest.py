"""Which concept's picture is a drawn picture nearest to? Two answers: latent distance and perceptual hash."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .pictures import place, to_image, to_tensor

HASH_SIDE = 32
HASH_LOW = 8


def cosine_basis() -> Tensor:
    """[8, 32]: the lowest frequencies of the discrete cosine transform."""
    place = (torch.arange(HASH_SIDE) + 0.5) * math.pi / HASH_SIDE
    return torch.cos(torch.arange(HASH_LOW)[:, None] * place[None])


def perceptual_hash(pictures: Tensor) -> Tensor:
    """[n, 3, h, w] in [-1, 1] to bits [n, 192] of +1 and -1.

    The usual pHash (32x32, the 8x8 lowest cosine coefficients, above or below their median), taken of luma and of both
    colour differences: round yellow faces and red fruit have the same luma.
    """
    small = functional.interpolate(pictures.float(), size=(HASH_SIDE, HASH_SIDE), mode="area")
    red, green, blue = small.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = torch.stack([luma, blue - luma, red - luma], 1)
    basis = cosine_basis()
    low = (basis @ planes @ basis.T).flatten(2)
    middle = low[..., 1:].median(-1, keepdim=True).values
    return torch.where(low > middle, 1.0, -1.0).flatten(1)


def nearest_by_latent(drawn: Tensor, known: Tensor) -> Tensor:
    """Index of the nearest known latent for each drawn one; both [n, 4, h, w], Euclidean."""
    return torch.cdist(drawn.flatten(1), known.flatten(1)).argmin(1)


def nearest_by_hash(drawn: Tensor, known: Tensor) -> Tensor:
    """Index of the known picture whose hash differs in the fewest bits; both [n, 3, h, w]."""
    return (perceptual_hash(drawn) @ perceptual_hash(known).T).argmax(1)


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """[n] decibels between pictures in [-1, 1]."""
    return 10 * torch.log10(4 / (first - second).square().mean((1, 2, 3)).clamp(min=1e-10))


def foreground(pictures: Tensor) -> Tensor:
    """[n, h, w] bool: what is not (nearly) white."""
    return pictures.min(1).values < 0.8


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """[n] intersection over union of the foregrounds."""
    one, two = foreground(first), foreground(second)
    return (one & two).sum((1, 2)) / (one | two).sum((1, 2)).clamp(min=1)


def centred(pictures: Tensor) -> Tensor:
    """The pictures with what is not white cropped and placed as the training pictures are: place and size do not count.

    Models trained on moved pictures draw moved pictures; three pixels would otherwise count as another object. A row or
    column belongs to the object when at least two of its pixels are not white.
    """
    result = []
    for picture, mask in zip(pictures, foreground(pictures), strict=True):
        columns, rows = (mask.sum(0) >= 2).nonzero().flatten(), (mask.sum(1) >= 2).nonzero().flatten()
        if len(columns) < 8 or len(rows) < 8:
            result.append(picture)
            continue
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        result.append(to_tensor(place(to_image(picture).convert("RGBA").crop(box), picture.shape[-1])))
    return torch.stack(result)
