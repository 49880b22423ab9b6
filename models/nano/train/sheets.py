"""Contact sheets of a narrow file: `python -m train.sheets FILE OUT.png [--size 128] [--hires 0.3] [--names …]`.

The extension of OUT says the format (.png, .webp).
"""

import argparse
import json
import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .config import best_device
from .figures import enlarged, second_pass
from .narrow import load_narrow, read_narrow
from .pictures import to_image
from .sampling import Request, Sampler
from .tokens import Tokenizer

COLUMNS = 16


def contact_sheet(pictures: Tensor, columns: int = COLUMNS) -> Image.Image:
    """Pictures [n, 3, h, w] in rows."""
    height, width = pictures.shape[-2:]
    sheet = Image.new("RGB", (columns * width, math.ceil(len(pictures) / columns) * height), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(to_image(picture), (i % columns * width, i // columns * height))
    return sheet


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.sheets", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--hires", type=float, metavar="STRENGTH", help="a second pass at twice the size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--names", nargs="+", help="prompts (default: every concept)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = options.names or json.loads(read_narrow(options.file)[1]["concepts"])
    sampler = Sampler(load_narrow(options.file).to(best_device()), Tokenizer(), steps=options.steps)
    pictures = sampler.pictures([Request(name, options.seed, options.size) for name in names])
    if options.hires is not None:
        pictures = second_pass(sampler, names, enlarged(pictures), options.hires)
    contact_sheet(pictures).save(options.out, optimize=True, quality=90)


if __name__ == "__main__":
    main()
