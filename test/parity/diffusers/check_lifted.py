#!/usr/bin/env python3
"""Check that diffusers reads the lifted files, and that it reads the models which drew the references. See README.md."""

import argparse
import hashlib
import json
import re
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file

from lift import load_models, strip
from make_reference import HERE, ROOT

UNET = "model.diffusion_model."
TEXT = "cond_stage_model.transformer.text_model."
# The tiny UNet keeps the numbers of SD1's blocks and leaves some out; diffusers counts those that are there, and
# takes an upsampling for the last part of the block before.
BLOCKS = {
    "input_blocks.3.": "input_blocks.2.",
    "input_blocks.4.": "input_blocks.3.",
    "input_blocks.6.": "input_blocks.4.",
    "input_blocks.7.": "input_blocks.5.",
    "output_blocks.2.1.": "output_blocks.1.2.",
    "output_blocks.3.": "output_blocks.2.",
    "output_blocks.4.": "output_blocks.3.",
    "output_blocks.5.2.": "output_blocks.3.2.",
    "output_blocks.6.": "output_blocks.4.",
    "output_blocks.7.": "output_blocks.5.",
}


def renumbered(name):
    for old, new in BLOCKS.items():
        if name.startswith(UNET + old):
            return UNET + new + name[len(UNET + old):]
    return name


def read_unet(checkpoint, like):
    """By diffusers' own reader of checkpoints in one file."""
    with tempfile.TemporaryDirectory() as folder:
        like.save_config(f"{folder}/unet")
        tensors = {renumbered(name): tensor.float() for name, tensor in checkpoint.items()}
        return UNet2DConditionModel.from_single_file(tensors, config=folder, subfolder="unet")


def read_taesd(path):
    """The file has diffusers' names."""
    taesd = AutoencoderTiny(encoder_block_out_channels=(64,) * 4, decoder_block_out_channels=(64,) * 4)
    taesd.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()}, strict=True)
    return taesd


def read_text(checkpoint, like):
    """By transformers' names, with or without the prefix that it gave up between versions."""
    text = type(like)(like.config)
    prefix = "text_model." if next(iter(text.state_dict())).startswith("text_model.") else ""
    tensors = {prefix + name: tensor.float() for name, tensor in strip(checkpoint, TEXT).items()}
    text.load_state_dict(tensors, strict=True)
    return text


def passes_by(module, key):
    """Whether it is a norm of a layer of the text encoder whose both ends give nothing: its values make no difference."""
    match = re.search(r"^(.*encoder\.layers\.\d+\.)layer_norm", key)
    if match is None:
        return False
    ends = [name for name in module if name.startswith(match[1]) and (".out_proj." in name or ".fc2." in name)]
    return len(ends) == 4 and not any(module[name].any() for name in ends)


def same(name, module, read):
    """Raises unless every tensor that counts has the same values in both; returns how many are the same."""
    own, other = module.state_dict(), read.state_dict()
    if set(own) != set(other):
        raise ValueError(f"{name}: not in both: {sorted(set(own) ^ set(other))[:4]}")
    differ = [key for key, tensor in own.items() if not torch.equal(tensor, other[key])]
    for key in differ:
        if not (passes_by(own, key) and passes_by(other, key)):
            raise ValueError(f"{name}: {key} has other values")
    return len(own) - len(differ)


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def only(folder, pattern):
    [path] = folder.glob(pattern)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="has the lifted files, as `ensureEmbeddedModel()` writes them")
    parser.add_argument("--out", type=Path, default=HERE / "lifted.json")
    options = parser.parse_args()
    narrow = only(ROOT / "models" / "nano", "nano-v*.safetensors")
    checkpoint, taesd = only(options.folder, "*-sd1-tiny.safetensors"), only(options.folder, "*-taesd.safetensors")

    text, unet, autoencoder = load_models(narrow)
    tensors = load_file(checkpoint)
    counts = {
        "unet": same("unet", unet, read_unet(tensors, unet)),
        "textEncoder": same("text encoder", text, read_text(tensors, text)),
        "taesd": same("taesd", autoencoder, read_taesd(taesd)),
    }
    record = {
        "weightsSha256": sha256(narrow), "checkpointSha256": sha256(checkpoint), "taesdSha256": sha256(taesd),
        "sameTensors": counts,
    }
    options.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
