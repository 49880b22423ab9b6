"""Text to image and image to image with diffusers' own parts, along the engine's schedule and conventions."""

from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler

from clip_ids import prompt_ids


@dataclass(frozen=True)
class Case:
    """One picture. `init` names a picture of the script (image to image), `strength` is 0..1, sizes are pixels."""

    name: str
    prompt: str
    seed: int
    negative_prompt: str = ""
    width: int = 128
    height: int = 128
    steps: int = 8
    cfg_scale: float = 3.0
    init: str | None = None
    strength: float | None = None


@dataclass
class Result:
    """`image` is uint8 [height, width, 3]; `arrays` holds float32 tensors on the way, by name."""

    image: np.ndarray
    arrays: dict = field(default_factory=dict)
    sigmas: list = field(default_factory=list)
    timesteps: list = field(default_factory=list)


def make_scheduler():
    return EulerDiscreteScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
                                  beta_schedule="scaled_linear", prediction_type="epsilon")


def discrete_sigmas(scheduler, steps):
    """The engine's schedule `discrete`: t falls linearly from 999 to 0, log sigma is linear between whole t."""
    alphas = scheduler.alphas_cumprod.double().numpy()
    log_sigmas = 0.5 * np.log((1 - alphas) / alphas)
    times = np.linspace(999, 0, steps) if steps > 1 else np.array([999.0])
    return [*np.exp(np.interp(times, np.arange(1000), log_sigmas)).tolist(), 0.0]


def trim_for_strength(sigmas, steps, strength):
    """The engine evaluates floor(steps * strength) + 1 times, at most `steps`; diffusers' pipeline one time less."""
    return sigmas if strength >= 1 else sigmas[steps - min(int(steps * strength), steps - 1) - 1:]


def to_picture_tensor(image):
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None] * 2 - 1


def to_bytes(sample):
    """[-1, 1] to uint8, rounded to nearest as the engine does."""
    unit = ((sample[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
    return (unit * 255 + 0.5).astype(np.uint8)


@torch.no_grad()
def denoise(unet, scheduler, sigmas, latent, noise, conditionings, cfg_scale):
    """Euler from latent + sigmas[0] * noise down to 0. Return (the end, the first output of the UNet with the prompt)."""
    conditioning, unconditional = conditionings
    # With `sigmas` the scheduler finds the (fractional) timesteps itself, independently of the engine.
    scheduler.set_timesteps(sigmas=sigmas)
    scheduler.set_begin_index(0)
    sample = latent + noise * scheduler.sigmas[0]
    first = None
    for time in scheduler.timesteps:
        scaled = scheduler.scale_model_input(sample, time)
        with_prompt = unet(scaled, time, encoder_hidden_states=conditioning).sample
        without = unet(scaled, time, encoder_hidden_states=unconditional).sample
        first = with_prompt if first is None else first
        guided = without + cfg_scale * (with_prompt - without)
        sample = scheduler.step(guided, time, sample).prev_sample
    return sample, first


@torch.no_grad()
def run_case(case, models, tokenizer, init_image=None):
    text_encoder, unet, autoencoder = models
    conditioning = text_encoder(prompt_ids(tokenizer, case.prompt)).last_hidden_state
    unconditional = text_encoder(prompt_ids(tokenizer, case.negative_prompt)).last_hidden_state

    scheduler = make_scheduler()
    sigmas = discrete_sigmas(scheduler, case.steps)
    shape = (1, 4, case.height // 8, case.width // 8)
    latent = torch.zeros(shape)
    arrays = {"conditioning": conditioning}
    if init_image is not None:
        sigmas = trim_for_strength(sigmas, case.steps, case.strength)
        latent = autoencoder.encode(to_picture_tensor(init_image)).latents
        arrays["encoded"] = latent
    noise = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(case.seed))
    arrays["noise"] = noise
    sample, trace = denoise(unet, scheduler, sigmas, latent, noise, (conditioning, unconditional), case.cfg_scale)
    arrays |= {"epsilon": trace, "latent": sample}
    image = to_bytes(autoencoder.decode(sample).sample)
    return Result(image, arrays, scheduler.sigmas.tolist(), scheduler.timesteps.tolist())
