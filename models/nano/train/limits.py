"""How far the measure itself can be trusted: `python -m train.limits FILE [--out JSON]`.

`moved`: originals a little smaller or larger and moved a little, as a model draws them. `decoded`: originals encoded
and decoded by the file's autoencoder. Both show their own concept: what is missing from 1 is the measure's own error.
"""

import argparse
import random
from pathlib import Path

import torch

from .concepts import Concept
from .config import best_device
from .figures import originals, top1
from .latents import decode, encode
from .measure import concepts_of, write_figures
from .narrow import Narrow, load_narrow
from .pictures import draw_emoji, place, to_tensor

VIEWS = 4
SCALE = (0.9, 1.03)
SHIFT = 0.03


def moved(concepts: list[Concept], rng: random.Random) -> torch.Tensor:
    """[n * VIEWS, 3, 128, 128]: scaled by SCALE, moved by up to SHIFT of the side each way."""
    pictures = []
    for concept in concepts:
        emoji = draw_emoji(concept.character)
        for _ in range(VIEWS):
            shift = (rng.uniform(-SHIFT, SHIFT), rng.uniform(-SHIFT, SHIFT))
            pictures.append(to_tensor(place(emoji, scale=rng.uniform(*SCALE), shift=shift)))
    return torch.stack(pictures)


def limits(model: Narrow, concepts: list[Concept]) -> dict:
    """Shares nearest to their own concept, as in the measure."""
    known, labels = originals(concepts), torch.arange(len(concepts))
    views = moved(concepts, random.Random(0))
    decoded = decode(model.autoencoder, encode(model.autoencoder, list(known)))
    return {
        "views": VIEWS,
        "moved": top1(model, views, known, labels.repeat_interleave(VIEWS)),
        "decoded": top1(model, decoded, known, labels),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.limits", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, help="JSON to write (default: print)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    concepts = concepts_of(options.file)
    result = {"file": options.file.name, "concepts": len(concepts)}
    result |= limits(load_narrow(options.file).to(best_device()), concepts)
    write_figures(result, options.out)


if __name__ == "__main__":
    main()
