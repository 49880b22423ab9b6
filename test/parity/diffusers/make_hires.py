#!/usr/bin/env python3
"""Write the pictures and arrays of two-pass requests that the parity tests compare the addon with. See README.md."""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import torch

from clip_ids import make_tokenizer
from hires import HiresCase, run_hires
from lift import load_models
from make_reference import HERE, PACKAGES, ROOT, save_array, save_picture

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=ROOT / "models" / "nano" / "nano-v0.safetensors",
                        help="narrow weights (default: %(default)s)")
    parser.add_argument("--engine", type=Path, default=ROOT / "native" / "vendor" / "stable-diffusion.cpp",
                        help="engine source, for CLIP's merges (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: beside the script)")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch threads (default: 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)

    models = load_models(options.weights)
    tokenizer = make_tokenizer(options.engine)
    records = []
    for case in CASES:
        print(f"{case.name} ...", flush=True)
        records.append(describe(options.out, case, run_hires(case, models, tokenizer)))

    reference = {
        "weights": options.weights.name,
        "weightsSha256": hashlib.sha256(options.weights.read_bytes()).hexdigest(),
        "versions": {name: version(name).split("+")[0] for name in PACKAGES},
        "minimumPsnr": 50,
        "cases": records,
    }
    text = json.dumps(reference, indent=2, ensure_ascii=False) + "\n"
    (options.out / "hires.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
