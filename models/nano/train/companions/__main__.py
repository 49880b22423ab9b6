"""`python -m train.companions NARROW OUT_FOLDER`: trains all three, writes lifted files and sheets."""

import argparse
import json
from pathlib import Path

import torch

from ..concepts import Concept, read_annotations, read_concepts
from ..narrow import load_narrow, read_narrow
from ..pictures import draw_emoji
from ..progress import Log
from ..sampling import Request, Sampler
from ..sheets import contact_sheet
from ..sources import annotations_path
from ..tokens import Tokenizer
from . import hypernetwork, inversion, lora
from .styles import blueprint, sepia
from .training import Plan, fit, object_targets, styled_targets

SHOWN = ("red apple", "cat face", "rocket", "cactus", "automobile", "ghost", "key", "unicorn")
NEW_CONCEPT, NEAREST_WORD = "blue heart", "heart"


def train_lora(file: Path, out: Path, concepts: list[Concept], steps: int, tokenizer: Tokenizer) -> torch.Tensor:
    """Blueprint style; returns pictures drawn with it."""
    model = load_narrow(file)
    adapters, _ = lora.attach(model.unet)
    parameters = [parameter for adapter in adapters.values() for parameter in (adapter.down, adapter.up)]
    fit(
        model,
        tokenizer,
        styled_targets(model, concepts, blueprint),
        parameters,
        Plan("lora", steps, 2e-3),
        Log(out / "losses.jsonl"),
    )
    lora.save_lora(out / "blueprint-lora.safetensors", adapters, "blueprint")
    return Sampler(model, tokenizer).pictures([Request(name, 1) for name in SHOWN])


def train_embedding(file: Path, out: Path, steps: int, tokenizer: Tokenizer) -> torch.Tensor:
    """The blue heart; returns pictures drawn with it."""
    model = load_narrow(file)
    characters, _ = read_annotations(annotations_path())
    vector, _ = inversion.attach(model, tokenizer, NEAREST_WORD)
    targets = object_targets(model, draw_emoji(characters[NEW_CONCEPT]), inversion.PLACEHOLDER)
    fit(model, tokenizer, targets, [vector], Plan("embedding", steps, 2e-2), Log(out / "losses.jsonl"))
    inversion.save_embedding(out / "blue-heart-embedding.safetensors", vector)
    return Sampler(model, tokenizer).pictures([Request(inversion.PLACEHOLDER, seed) for seed in range(1, 9)])


def train_hypernetwork(
    file: Path, out: Path, concepts: list[Concept], steps: int, tokenizer: Tokenizer
) -> torch.Tensor:
    """Sepia style; returns pictures drawn with it."""
    model = load_narrow(file)
    nets, _ = hypernetwork.attach(model.unet)
    parameters = [parameter for net in nets for parameter in net.parameters()]
    fit(
        model,
        tokenizer,
        styled_targets(model, concepts, sepia),
        parameters,
        Plan("hypernetwork", steps, 3e-3),
        Log(out / "losses.jsonl"),
    )
    hypernetwork.save_hypernetwork(out / "sepia-hypernetwork.pt", nets, "sepia", steps)
    return Sampler(model, tokenizer).pictures([Request(name, 1) for name in SHOWN])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.companions", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", choices=("lora", "embedding", "hypernetwork"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    listed = set(json.loads(read_narrow(options.file)[1]["concepts"]))
    concepts = [concept for concept in read_concepts() if concept.name in listed]
    tokenizer = Tokenizer()
    trainers = {
        "embedding": lambda: train_embedding(options.file, options.out, options.steps, tokenizer),
        "lora": lambda: train_lora(options.file, options.out, concepts, options.steps, tokenizer),
        "hypernetwork": lambda: train_hypernetwork(options.file, options.out, concepts, options.steps, tokenizer),
    }
    for name, train in trainers.items():
        if options.only in (None, name):
            contact_sheet(train(), 8).save(options.out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
