"""Noise schedule of SD1, and the weight of each timestep in the loss."""

import torch
from torch import Tensor

STEPS = 1000


def alphas_cumprod() -> Tensor:
    """[1000], scaled linear betas from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0)


def min_snr_weight(alphas: Tensor, gamma: float = 5.0) -> Tensor:
    """Weight of the noise error at each timestep (Hang et al. 2023): min(SNR, gamma) / SNR."""
    ratio = alphas / (1 - alphas)
    return (ratio.clamp(max=gamma) / ratio).float()


def spread_timesteps(count: int, generator: torch.Generator, most: float = 1.0) -> Tensor:
    """One timestep from each of `count` equal intervals, in random order: less noise in the gradient than at random.

    `most` is the share of the schedule to draw from, from the end with little noise.
    """
    place = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (place[torch.randperm(count, generator=generator)] * STEPS * most).long().clamp(max=STEPS - 1)


def discrete_sigmas(steps: int) -> tuple[list[float], list[float]]:
    """Return (sigmas and a final 0, timesteps) of the engine's schedule `discrete`: t falls linearly from 999 to 0."""
    alphas = alphas_cumprod()
    logs = 0.5 * torch.log((1 - alphas) / alphas)
    times = torch.linspace(STEPS - 1, 0, steps, dtype=torch.float64)
    low = times.floor().long().clamp(max=STEPS - 2)
    between = torch.lerp(logs[low], logs[low + 1], times - low)
    return [*between.exp().tolist(), 0.0], times.tolist()
