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


@torch.no_grad()
def run_hires(case, models, tokenizer):
    text_encoder, unet, autoencoder = models
    conditionings = [text_encoder(prompt_ids(tokenizer, prompt)).last_hidden_state
                     for prompt in (case.prompt, case.negative_prompt)]

    def sample(latent, noise, sigmas):
        return denoise(unet, make_scheduler(), sigmas, latent, noise, conditionings, case.cfg_scale)[0]

    def decode(latent):
        return to_bytes(autoencoder.decode(latent).sample)

    sigmas = discrete_sigmas(make_scheduler(), case.steps)
    noise = noise_of(case.seed, (1, 4, case.height // CELL, case.width // CELL))
    first = sample(torch.zeros_like(noise), noise, sigmas)
    result = HiresResult(first_image=decode(first), image=np.empty(0), covering=covering_size(case))

    if case.upscaler in LATENT:
        start = enlarge_latent(case, first, result.covering)
    else:
        if result.covering != (case.hires_width, case.hires_height):
            raise ValueError(f"{case.name}: a pixel case must not be cut, A1111 does that to the encoded latent")
        large = Image.fromarray(result.first_image).resize(result.covering, PIXEL[case.upscaler])
        result.enlarged_image = np.asarray(large)
        start = autoencoder.encode(to_picture_tensor(result.enlarged_image)).latents

    # The schedule is made longer, so that as many steps are run as were asked for.
    result.total_steps = int(case.hires_steps / min(case.denoising_strength, 0.999))
    hires_sigmas = discrete_sigmas(make_scheduler(), result.total_steps)[result.total_steps - case.hires_steps:]
    hires_noise = noise_of(case.seed, tuple(start.shape))
    latent = sample(start, hires_noise, hires_sigmas)
    result.image = decode(latent)
    result.arrays = {"noise": noise, "firstLatent": first, "start": start, "hiresNoise": hires_noise, "latent": latent}
    result.sigmas, result.hires_sigmas = ([float(np.float32(s)) for s in levels] for levels in (sigmas, hires_sigmas))
    return result
