"""One picture along the engine's conventions, by whatever computes the three networks."""

import time

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler

from protocol import milliseconds


def discrete_sigmas(scheduler, steps):
    """The engine's schedule `discrete`: t falls linearly from 999 to 0, log sigma is linear between whole t."""
    alphas = scheduler.alphas_cumprod.double().numpy()
    log_sigmas = 0.5 * np.log((1 - alphas) / alphas)
    times = np.linspace(999, 0, steps) if steps > 1 else np.array([999.0])
    return [*np.exp(np.interp(times, np.arange(1000), log_sigmas)).tolist(), 0.0]


def draw(request, encode, evaluate, decode):
    """
    `encode(prompt)` gives a context, `evaluate(latents, time, contexts)` the noise of a batch, `decode(latent)` pixels in
    [-1, 1]. With guidance both contexts go through the UNet as one batch, as diffusers' pipelines do.
    Return (uint8 [height, width, 3], times).
    """
    start = time.perf_counter()
    guided = request["cfgScale"] != 1
    contexts = [encode(request["prompt"]), *([encode(request["negativePrompt"])] if guided else [])]
    contexts = torch.cat(contexts)
    encoded = milliseconds(start)

    scheduler = EulerDiscreteScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
                                       beta_schedule="scaled_linear", prediction_type="epsilon")
    scheduler.set_timesteps(sigmas=discrete_sigmas(scheduler, request["steps"]))
    scheduler.set_begin_index(0)
    shape = (1, 4, request["height"] // 8, request["width"] // 8)
    latent = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(request["seed"])) * scheduler.sigmas[0]
    first = None
    for step in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latent, step)
        noise = evaluate(torch.cat([scaled] * len(contexts)), step, contexts)
        if guided:
            conditional, unconditional = noise.chunk(2)
            noise = unconditional + request["cfgScale"] * (conditional - unconditional)
        latent = scheduler.step(noise, step, latent).prev_sample
        first = milliseconds(start) if first is None else first
    sampled = milliseconds(start)

    unit = ((decode(latent)[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
    pixels = (unit * 255 + 0.5).astype(np.uint8)
    total = milliseconds(start)
    return pixels, {"encode": encoded, "sample": sampled - encoded, "decode": total - sampled, "total": total,
                    "firstStep": first}
