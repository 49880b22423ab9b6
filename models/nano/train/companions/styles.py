"""Looks that a companion teaches: functions of a picture [3, h, w] in [-1, 1]."""

import torch
from torch import Tensor

NAVY = (18, 44, 120)
BROWN = (84, 46, 14)
WHITE = (255, 255, 255)


def luma(picture: Tensor) -> Tensor:
    """[h, w] in [0, 1]."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    return ((picture + 1) / 2 * weights).sum(0)


def duotone(picture: Tensor, dark: tuple[int, int, int], light: tuple[int, int, int]) -> Tensor:
    """Black becomes `dark`, white becomes `light`."""
    low, high = (torch.tensor(colour).view(3, 1, 1) / 127.5 - 1 for colour in (dark, light))
    return torch.lerp(low.expand_as(picture), high.expand_as(picture), luma(picture)[None])


def ink(picture: Tensor) -> Tensor:
    """Blue ink on white paper instead of colours. The ground stays, so that the model need not forget it."""
    return duotone(picture, NAVY, WHITE)


def sepia(picture: Tensor) -> Tensor:
    """Browns instead of colours."""
    return duotone(picture, BROWN, WHITE)
