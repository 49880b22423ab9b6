#!/usr/bin/env python3
"""Write the pictures and arrays of two-pass requests that the parity tests compare the addon with. See README.md."""

from hires import HiresCase, run_hires
from make_reference import save_array, save_picture, set_up, write_records

CASES = (
    HiresCase("hires-latent", "red apple", 1, "Latent", 64, 64, 128, 128),
    HiresCase("hires-lanczos", "tangerine", 2, "Lanczos", 64, 64, 128, 128),
    # Enlarged to 128 x 256, of which the middle is kept.
    HiresCase("hires-cut", "cactus emoji", 3, "Latent (bicubic antialiased)", 64, 128, 128, 128,
              negative_prompt="sailboat"),
)


def describe(out, case, result):
    files = {"firstFile": (f"{case.name}.first.png", result.first_image), "file": (f"{case.name}.png", result.image)}
    if result.enlarged_image is not None:
        files["enlargedFile"] = (f"{case.name}.enlarged.png", result.enlarged_image)
    for name, image in files.values():
        save_picture(out / name, image)
    return {
        "name": case.name, "prompt": case.prompt, "negativePrompt": case.negative_prompt, "seed": case.seed,
        "steps": case.steps, "cfgScale": case.cfg_scale, "width": case.width, "height": case.height,
        "sampler": "euler", "schedule": "discrete", "rng": "cpu",
        "hires": {
            "upscaler": case.upscaler, "width": case.hires_width, "height": case.hires_height,
            "steps": case.hires_steps, "denoisingStrength": case.denoising_strength,
        },
        "totalSteps": result.total_steps, "covering": list(result.covering),
        **{key: name for key, (name, _) in files.items()},
        "sigmas": result.sigmas, "hiresSigmas": result.hires_sigmas,
        "arrays": {name: save_array(out, case, name, tensor) for name, tensor in result.arrays.items()},
    }


def main():
    options, models, tokenizer = set_up(__doc__)
    records = []
    for case in CASES:
        print(f"{case.name} ...", flush=True)
        records.append(describe(options.out, case, run_hires(case, models, tokenizer)))
    write_records(options, "hires.json", records)


if __name__ == "__main__":
    main()
