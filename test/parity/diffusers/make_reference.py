#!/usr/bin/env python3
"""Write the reference pictures and arrays that the parity tests compare the addon with. See README.md."""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from clip_ids import make_tokenizer
from lift import load_models
from pipeline import Case, run_case

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGES = ("diffusers", "numpy", "pillow", "safetensors", "torch", "transformers")
TEXT_RATIO = 8

CASES = (
    Case("apple", "red apple", seed=1, steps=12),
    Case("rocket-negative", "a rocket", seed=7, negative_prompt="sailboat"),
    Case("cactus-portrait", "cactus emoji", seed=3, width=64, height=128),
    Case("moon-small", "crescent moon", seed=5, width=64, height=64),
    Case("tangerine-img2img", "tangerine", seed=2, init="disc", strength=0.5),
    Case("face-img2img", "smiling face with sunglasses", seed=11, steps=12, cfg_scale=4.0, init="disc",
         strength=0.75),
)
# The case whose arrays on the way are kept, to find where a deviation begins; img2img keeps its encoded latent too.
TRACED = {
    "apple": ("conditioning", "noise", "epsilon", "latent"),
    "tangerine-img2img": ("encoded", "noise", "epsilon", "latent"),
}


def draw_disc(width=128, height=128):
    """An orange disc with a soft edge on a light ground that darkens downwards."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    ground = np.stack([255 - 40 * y / height, 255 - 30 * y / height, np.full_like(y, 255)], axis=-1)
    distance = np.hypot(x - width / 2, y - height * 0.55)
    cover = np.clip(width * 0.36 - distance, 0, 1)[..., None]
    colour = np.stack([np.full_like(y, 240), 190 - 90 * y / height, 40 + 60 * x / width], axis=-1)
    return (ground * (1 - cover) + colour * cover + 0.5).astype(np.uint8)


def save_picture(path, image):
    Image.fromarray(image).save(path, optimize=True)


def compact(name, tensor):
    """Return (array, how it relates to the tensor). Lifted conditioning holds each column TEXT_RATIO times."""
    array = tensor.numpy()[0]
    if name != "conditioning":
        return array, {}
    blocks = array.reshape(array.shape[0], -1, TEXT_RATIO)
    spread = float(np.abs(blocks - blocks[..., :1]).max())
    if spread > 1e-4:
        raise ValueError(f"conditioning columns that lifting makes equal differ by {spread}")
    return blocks[..., 0], {"columnRepeat": TEXT_RATIO}


def save_array(out, case, name, tensor):
    array, extra = compact(name, tensor)
    file = f"{case.name}.{name}.f32"
    (out / file).write_bytes(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return {"file": file, "dtype": "float32 little-endian", "shape": list(array.shape), **extra}


def describe(out, case, result):
    record = {
        "name": case.name, "prompt": case.prompt, "negativePrompt": case.negative_prompt, "seed": case.seed,
        "steps": case.steps, "evaluations": len(result.timesteps), "cfgScale": case.cfg_scale, "width": case.width,
        "height": case.height, "sampler": "euler", "schedule": "discrete", "rng": "cpu",
    }
    if case.init is not None:
        record |= {"initImage": f"init-{case.init}.png", "strength": case.strength}
    record |= {"file": f"{case.name}.png", "sigmas": result.sigmas, "timesteps": result.timesteps}
    save_picture(out / record["file"], result.image)
    names = TRACED.get(case.name, ())
    if names:
        record["arrays"] = {name: save_array(out, case, name, result.arrays[name]) for name in names}
    return record


def set_up(description):
    """Reads the options that every script here has; returns them with the models and the tokenizer."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--weights", type=Path, default=next((ROOT / "models" / "nano").glob("nano-v*.safetensors")),
                        help="narrow weights (default: %(default)s)")
    parser.add_argument("--engine", type=Path, default=ROOT / "native" / "vendor" / "stable-diffusion.cpp",
                        help="engine source, for CLIP's merges (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: beside the script)")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch threads (default: 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    return options, load_models(options.weights), make_tokenizer(options.engine)


def write_records(options, name, records, minimum=50):
    """Writes what was made, and of what, to the file that the tests read."""
    reference = {
        "weights": options.weights.name,
        "weightsSha256": hashlib.sha256(options.weights.read_bytes()).hexdigest(),
        "versions": {package: version(package).split("+")[0] for package in PACKAGES},
        "minimumPsnr": minimum,
        "cases": records,
    }
    text = json.dumps(reference, indent=2, ensure_ascii=False) + "\n"
    (options.out / name).write_text(text, encoding="utf-8")


def main():
    options, models, tokenizer = set_up(__doc__)
    disc = draw_disc()
    save_picture(options.out / "init-disc.png", disc)
    records = []
    for case in CASES:
        print(f"{case.name} ...", flush=True)
        result = run_case(case, models, tokenizer, disc if case.init else None)
        records.append(describe(options.out, case, result))
    write_records(options, "reference.json", records)


if __name__ == "__main__":
    main()
