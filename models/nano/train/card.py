"""The tables of the model card, from what a measure wrote: `python -m train.card MEASURE.json …`."""

import argparse
import json
from pathlib import Path

ROWS = (
    ("concepts", ("concepts",)),
    ("own picture nearest in latent space, 128x128", ("size128", "top1", "latent")),
    ("own picture nearest by perceptual hash, 128x128", ("size128", "top1", "hash")),
    ("by both at once, 128x128", ("size128", "top1", "both")),
    ("own picture nearest in latent space, 64x64", ("size64", "top1", "latent")),
    ("own picture nearest by perceptual hash, 64x64", ("size64", "top1", "hash")),
    ("256x256 by a hires pass of 0.3: in latent space", ("size256", "strength0.3", "latent")),
    ("256x256 by a hires pass of 0.3: by perceptual hash", ("size256", "strength0.3", "hash")),
    ("256x256 by a hires pass of 0.5: in latent space", ("size256", "strength0.5", "latent")),
    ("256x256 by a hires pass of 0.5: by perceptual hash", ("size256", "strength0.5", "hash")),
    ("PSNR between seeds, dB (lower: they differ more)", ("size128", "seedPsnr")),
    ("autoencoder on its own concepts, dB: mean", ("autoencoderPsnr", "ownConcepts", "mean")),
    ("of the error of all pictures", ("autoencoderPsnr", "ownConcepts", "pooled")),
    ("worst picture", ("autoencoderPsnr", "ownConcepts", "worst")),
    ("at 64x64: mean", ("autoencoderPsnr", "ownConcepts64", "mean")),
    ("autoencoder on unseen emoji, dB: mean", ("autoencoderPsnr", "unseen", "mean")),
    ("of the error of all unseen", ("autoencoderPsnr", "unseen", "pooled")),
    ("worst unseen", ("autoencoderPsnr", "unseen", "worst")),
    ("img2img at 0.5: overlap with the input's shape", ("img2imgHalf", "overlap")),
    ("the same from noise, for comparison", ("img2imgHalf", "overlapFromNoise")),
    ("two names: at least one recognised", ("pairs", "one")),
    ("two names: both recognised", ("pairs", "both")),
    ("two names: each nearest in its half", ("pairs", "placed")),
    ("both recognised by chance", ("pairs", "chance")),
)


def figure(measured: dict, path: tuple[str, ...]) -> str:
    """The value at a path; shares as they are, absent ones as a dash."""
    value = measured
    for part in path:
        if part not in value:
            return "-"
        value = value[part]
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(measured: list[dict]) -> str:
    """A Markdown table with a column per file."""
    head = ["", *(one["file"].removesuffix(".safetensors") for one in measured)]
    lines = [head, ["---"] * len(head), *([name, *(figure(one, path) for one in measured)] for name, path in ROWS)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.card", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    print(table([json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().files]))


if __name__ == "__main__":
    main()
