"""The fixed measure of a narrow file: `python -m train.measure FILE [--out JSON]`. Sampler and seeds never change.

Euler, 12 steps, guidance 3, seeds 1 to 4, the concept's name as the prompt, bf16 autocast on CPU (figures may move in
the last digit between machines).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .concepts import Concept, read_concepts
from .config import best_device
from .figures import (
    autoencoder_figures,
    hires_figures,
    img2img_figures,
    missed,
    originals,
    pair_figures,
    seed_difference,
    top1,
)
from .narrow import load_narrow, read_narrow
from .sampling import Request, Sampler
from .tokens import Tokenizer

SEEDS = (1, 2, 3, 4)


def draw_all(sampler: Sampler, names: list[str], size: int, cache: Path | None) -> Tensor:
    """[names, seeds, 3, size, size]; kept in a folder by concept, so that an interrupted measure goes on."""
    rows = []
    for name in names:
        path = cache / f"{name} {size}.pt" if cache else None
        if path and path.exists():
            rows.append(torch.load(path).float() / 127.5 - 1)
            continue
        row = sampler.pictures([Request(name, seed, size) for seed in SEEDS])
        if path:
            torch.save(((row + 1) * 127.5).round().to(torch.uint8), path)
        rows.append(row)
    return torch.stack(rows)


def concepts_of(path: Path) -> list[Concept]:
    """Those that a narrow file lists, in their own order."""
    listed = set(json.loads(read_narrow(path)[1]["concepts"]))
    return [concept for concept in read_concepts() if concept.name in listed]


def measure(path: Path, sizes: tuple[int, ...], cache: Path | None) -> dict:
    """All figures of a narrow file."""
    model = load_narrow(path).to(best_device())
    sampler = Sampler(model, Tokenizer())
    concepts = concepts_of(path)
    early = {concept.name for concept in read_concepts()[:96]}
    result: dict = {"file": path.name, "concepts": len(concepts), "seeds": len(SEEDS), "steps": sampler.steps}
    result["autoencoderPsnr"] = {
        "ownConcepts": autoencoder_figures(model, concepts),
        "unseen": autoencoder_figures(model, read_concepts("unseen.txt")),
    }
    names = [concept.name for concept in concepts]
    firsts: dict[int, Tensor] = {}
    for size in sizes:
        known = originals(concepts, size)
        drawn = draw_all(sampler, names, size, cache)
        firsts[size] = drawn[:, 0]
        labels = torch.arange(len(concepts)).repeat_interleave(len(SEEDS))
        entry: dict = {"top1": top1(model, drawn.flatten(0, 1), known, labels), "seedPsnr": seed_difference(drawn)}
        entry["missed"] = missed(model, drawn.flatten(0, 1), known, labels, concepts)
        first = [i for i, concept in enumerate(concepts) if concept.name in early]
        if len(first) < len(concepts):
            rows = drawn[first].flatten(0, 1)
            entry["top1OfFirst96"] = top1(
                model, rows, known[first], torch.arange(len(first)).repeat_interleave(len(SEEDS))
            )
        result[f"size{size}"] = entry
    result["autoencoderPsnr"]["ownConcepts64"] = autoencoder_figures(model, concepts, 64)
    known = originals(concepts)
    if 128 in firsts:
        result["size256"] = hires_figures(sampler, concepts, firsts[128])
    result["img2imgHalf"] = img2img_figures(sampler, concepts)
    result["pairs"] = pair_figures(sampler, concepts, known)
    return result


def rounded(value: Any) -> Any:
    """Figures to four decimals, for a file that people read."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def write_figures(result: dict, out: Path | None) -> None:
    """Rounded, as JSON: to a file, or printed."""
    text = json.dumps(rounded(result), indent=2) + "\n"
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        print(text)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.measure", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, help="JSON to write (default: print)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 64])
    parser.add_argument("--cache", type=Path, help="folder for drawn pictures; one per file measured")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.cache:
        options.cache.mkdir(parents=True, exist_ok=True)
    write_figures(measure(options.file, tuple(options.sizes), options.cache), options.out)


if __name__ == "__main__":
    main()
