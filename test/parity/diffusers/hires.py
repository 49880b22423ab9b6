"""A first pass, its enlargement and a second pass, as A1111 composes them, with diffusers, torch and Pillow."""

from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from clip_ids import prompt_ids
from pipeline import denoise, discrete_sigmas, make_scheduler, to_bytes, to_picture_tensor

CELL = 8
# A1111's latent modes that the cases use: mode and antialias of interpolate.
LATENT = {"Latent": ("bilinear", False), "Latent (bicubic antialiased)": ("bicubic", True)}
PIXEL = {"Lanczos": Image.Resampling.LANCZOS}


@dataclass(frozen=True)
class HiresCase:
    """Two passes. Sizes are pixels, `upscaler` is A1111's label."""

    name: str
    prompt: str
    seed: int
    upscaler: str
    width: int
    height: int
    hires_width: int
    hires_height: int
    steps: int = 4
    hires_steps: int = 4
    denoising_strength: float = 0.6
    cfg_scale: float = 3.0
    negative_prompt: str = ""


@dataclass
class HiresResult:
    """Pictures are uint8 [height, width, 3]; `arrays` float32 tensors by name; `enlarged_image` only of pixel upscalers."""

    first_image: np.ndarray
    image: np.ndarray
    enlarged_image: np.ndarray | None = None
    arrays: dict = field(default_factory=dict)
    sigmas: list = field(default_factory=list)
    hires_sigmas: list = field(default_factory=list)
    total_steps: int = 0
    covering: tuple = ()


def covering_size(case):
    """Both edges given: the size of the first pass's shape that covers the target."""
    if case.width / case.height < case.hires_width / case.hires_height:
        return case.hires_width, case.hires_width * case.height // case.width
    return case.hires_height * case.width // case.height, case.hires_height


def enlarge_latent(case, latent, covering):
    """interpolate to the covering size, then cut cells: half of them before, the odd one behind."""
    mode, antialias = LATENT[case.upscaler]
    width, height = covering
    large = interpolate(latent, size=(height // CELL, width // CELL), mode=mode, antialias=antialias)
    cut_x, cut_y = (width - case.hires_width) // CELL, (height - case.hires_height) // CELL
    return large[:, :, cut_y // 2:large.shape[2] - (cut_y + 1) // 2, cut_x // 2:large.shape[3] - (cut_x + 1) // 2]


def noise_of(seed, shape):
    """The second pass draws anew from the same seed, at its own shape."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def sampler_of(case, models, tokenizer):
    """sample(latent, noise, sigmas) with the prompts of a case."""
    text_encoder, unet, _ = models
    conditionings = [text_encoder(prompt_ids(tokenizer, prompt)).last_hidden_state
                     for prompt in (case.prompt, case.negative_prompt)]

    def sample(latent, noise, sigmas):
        return denoise(unet, make_scheduler(), sigmas, latent, noise, conditionings, case.cfg_scale)[0]

    return sample


@torch.no_grad()
def first_pass(case, models, tokenizer):
    """Return (result so far, latent)."""
    sigmas = discrete_sigmas(make_scheduler(), case.steps)
    noise = noise_of(case.seed, (1, 4, case.height // CELL, case.width // CELL))
    latent = sampler_of(case, models, tokenizer)(torch.zeros_like(noise), noise, sigmas)
    picture = to_bytes(models[2].decode(latent).sample)
    result = HiresResult(first_image=picture, image=np.empty(0), covering=covering_size(case))
    result.arrays = {"noise": noise, "firstLatent": latent}
    result.sigmas = [float(np.float32(sigma)) for sigma in sigmas]
    return result, latent


def hires_sigmas_of(case):
    """Return (length of the schedule, its end): it is made longer, so that as many steps are run as were asked for."""
    total = int(case.hires_steps / min(case.denoising_strength, 0.999))
    return total, discrete_sigmas(make_scheduler(), total)[total - case.hires_steps:]


@torch.no_grad()
def run_hires(case, models, tokenizer, second=None):
    """`second`: models of the second pass, with the latents of the first."""
    result, first = first_pass(case, models, tokenizer)
    autoencoder = models[2]
    if case.upscaler in LATENT:
        start = enlarge_latent(case, first, result.covering)
    else:
        if result.covering != (case.hires_width, case.hires_height):
            raise ValueError(f"{case.name}: a pixel case must not be cut, A1111 does that to the encoded latent")
        large = Image.fromarray(result.first_image).resize(result.covering, PIXEL[case.upscaler])
        result.enlarged_image = np.asarray(large)
        start = autoencoder.encode(to_picture_tensor(result.enlarged_image)).latents

    result.total_steps, hires_sigmas = hires_sigmas_of(case)
    hires_noise = noise_of(case.seed, tuple(start.shape))
    latent = sampler_of(case, second or models, tokenizer)(start, hires_noise, hires_sigmas)
    result.image = to_bytes(autoencoder.decode(latent).sample)
    result.arrays |= {"start": start, "hiresNoise": hires_noise, "latent": latent}
    result.hires_sigmas = [float(np.float32(sigma)) for sigma in hires_sigmas]
    return result
