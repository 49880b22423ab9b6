#!/usr/bin/env python3
"""Write the pictures of two-pass requests whose second pass has a checkpoint of its own. See README.md."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from clip_ids import prompt_ids
from hires import CELL, PIXEL, HiresCase, first_pass, hires_sigmas_of, noise_of, run_hires
from lift import load_models
from make_reference import save_picture, set_up, write_records
from pipeline import denoise, make_scheduler, to_bytes, to_picture_tensor
from sdxl import encode_prompt, load_sdxl

MINIMUM = 45
# What a change of anything that the second pass works with must do to the picture, or the case proves nothing.
CLEARLY_LESS = 43

PERTURBED = HiresCase("checkpoint-same", "red apple", 1, "Latent", 64, 64, 128, 128)
PERTURBATION = {"seed": 11, "amount": 0.125}

SDXL = HiresCase("checkpoint-sdxl", "a rocket", 1, "Lanczos", 64, 64, 128, 128, hires_steps=3, denoising_strength=0.4,
                 negative_prompt="sailboat")
# So large that prompt, text encoders, size and first picture all show in the result.
SYNTHESIS = {
    "seed": 1,
    "gains": [
        ["token_embedding", 32.0],
        ["embedders.0.transformer.text_model.encoder.layers.", 2.0],
        ["attn2.to_out", 16.0],
        ["label_emb.0.2", 8.0],
        ["encoder.conv_out", 4.0],
        ["first_stage_model.quant_conv", 2.0],
    ],
}
HIRES_CFG = 2.0


def psnr(a, b):
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


@dataclass(frozen=True)
class Inputs:
    """What the second pass of the SDXL case works with. Conditionings are (context, pooled)."""

    picture: np.ndarray
    conditionings: tuple
    time_ids: torch.Tensor


@torch.no_grad()
def refine(case, unet, vae, inputs):
    """The pixels of the first model, enlarged, through the second model's VAE, img2img and back."""
    large = Image.fromarray(inputs.picture).resize((case.hires_width, case.hires_height), PIXEL[case.upscaler])
    posterior = vae.encode(to_picture_tensor(np.asarray(large))).latent_dist
    # The generator of the seed begins anew for each: what the VAE draws and the noise of the pass are the same numbers.
    noise = noise_of(case.seed, (1, 4, case.hires_height // CELL, case.hires_width // CELL))
    start = (posterior.mean + posterior.std * noise) * vae.config.scaling_factor

    def predict(sample, time, encoder_hidden_states):
        context, pooled = encoder_hidden_states
        extra = {"text_embeds": pooled, "time_ids": inputs.time_ids}
        return unet(sample, time, encoder_hidden_states=context, added_cond_kwargs=extra)

    sigmas = hires_sigmas_of(case)[1]
    latent, _ = denoise(predict, make_scheduler(), sigmas, start, noise, inputs.conditionings, HIRES_CFG)
    return to_bytes(vae.decode(latent / vae.config.scaling_factor).sample)


def mixed(one, other):
    """The context of `one` with the first text encoder's columns of `other`."""
    return torch.cat([other[0][..., :768], one[0][..., 768:]], dim=-1), one[1]


def variants(inputs, other):
    """The same pass with one thing changed each."""
    prompt, negative = inputs.conditionings
    return {
        "prompt": replace(inputs, conditionings=(other, negative)),
        "negativePrompt": replace(inputs, conditionings=(prompt, other)),
        "firstTextEncoder": replace(inputs, conditionings=(mixed(prompt, other), negative)),
        "pooled": replace(inputs, conditionings=((prompt[0], other[1]), negative)),
        "size": replace(inputs, time_ids=torch.zeros_like(inputs.time_ids)),
        "picture": replace(inputs, picture=np.ascontiguousarray(inputs.picture[::-1])),
    }


def request_of(case):
    return {
        "name": case.name, "prompt": case.prompt, "negativePrompt": case.negative_prompt, "seed": case.seed,
        "steps": case.steps, "cfgScale": case.cfg_scale, "width": case.width, "height": case.height,
        "sampler": "euler", "schedule": "discrete", "rng": "cpu",
        "hires": {
            "upscaler": case.upscaler, "width": case.hires_width, "height": case.hires_height,
            "steps": case.hires_steps, "denoisingStrength": case.denoising_strength,
        },
    }


def checked(controls):
    """Decibels between the picture and one with something else in it, by what that is."""
    rounded = {name: round(value, 1) for name, value in controls.items()}
    if dull := {name: value for name, value in rounded.items() if value > CLEARLY_LESS}:
        raise ValueError(f"the picture hardly depends on {dull}")
    return rounded


def run_perturbed(options, models, tokenizer):
    case = PERTURBED
    second = load_models(options.weights, PERTURBATION)
    result = run_hires(case, models, tokenizer, second)
    without = run_hires(case, models, tokenizer)
    save_picture(options.out / f"{case.name}.png", result.image)
    controls = checked({"checkpoint": psnr(result.image, without.image)})
    return {**request_of(case), "file": f"{case.name}.png", "perturbation": PERTURBATION, "controls": controls}


def run_sdxl(options, models, tokenizer):
    case = SDXL
    first = first_pass(case, models, tokenizer)[0].first_image
    text_encoders, unet, vae = load_sdxl(SYNTHESIS["seed"], SYNTHESIS["gains"])
    prompt, negative, other = (encode_prompt(text_encoders, prompt_ids(tokenizer, text))
                               for text in (case.prompt, case.negative_prompt, "a yellow banana"))
    del text_encoders
    size = [case.hires_height, case.hires_width]
    inputs = Inputs(first, (prompt, negative), torch.tensor([[*size, 0, 0, *size]], dtype=torch.float32))
    image = refine(case, unet, vae, inputs)
    save_picture(options.out / f"{case.name}.png", image)
    save_picture(options.out / f"{case.name}.first.png", first)
    controls = {}
    for name, changed in variants(inputs, other).items():
        controls[name] = psnr(image, refine(case, unet, vae, changed))
        print(f"  {name}: {controls[name]:.1f} dB", flush=True)
    record = request_of(case)
    record["hires"]["cfgScale"] = HIRES_CFG
    clipped = float(np.mean((image == 0) | (image == 255)))
    return {**record, "firstFile": f"{case.name}.first.png", "file": f"{case.name}.png", "synthesis": SYNTHESIS,
            "clipped": round(clipped, 4), "controls": checked(controls)}


def main():
    options, models, tokenizer = set_up(__doc__)
    records = []
    for run in (run_perturbed, run_sdxl):
        print(f"{run.__name__} ...", flush=True)
        records.append(run(options, models, tokenizer))
    write_records(options, "checkpoints.json", records, MINIMUM)


if __name__ == "__main__":
    main()
