"""`python -m train.companions NARROW OUT_FOLDER`: trains all three, writes lifted files and sheets."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from ..concepts import Concept, read_annotations, read_concepts
from ..config import best_device
from ..narrow import load_narrow, read_narrow
from ..pictures import draw_emoji
from ..progress import Log
from ..sampling import Request, Sampler
from ..sheets import contact_sheet
from ..sources import annotations_path
from ..tokens import Tokenizer
from . import hypernetwork, inversion, lora
from .styles import ink, sepia
from .training import Plan, fit, object_targets, styled_targets

SHOWN = ("red apple", "cat face", "rocket", "cactus", "automobile", "ghost", "key", "unicorn")
STEPS = {"lora": 400, "embedding": 1000, "hypernetwork": 1000}
NEW_CONCEPT, NEAREST_WORD = "blue heart", "heart"


@dataclass(frozen=True)
class Task:
    """What every companion needs to know."""

    file: Path
    out: Path
    concepts: list[Concept]
    steps: int | None
    batch: int
    tokenizer: Tokenizer

    @property
    def log(self) -> Log:
        """One log for all."""
        return Log(self.out / "losses.jsonl")

    def plan(self, stage: str, rate: float, empty_share: float = 0.0) -> Plan:
        """The plan of one companion."""
        return Plan(stage, self.steps or STEPS[stage], rate, self.batch, empty_share=empty_share)


def train_lora(task: Task) -> torch.Tensor:
    """Style of blue ink; returns pictures drawn with it."""
    model = load_narrow(task.file).to(best_device())
    adapters, _ = lora.attach(model.unet)
    parameters = [parameter for adapter in adapters.values() for parameter in (adapter.down, adapter.up)]

    def save(_: int) -> None:
        lora.save_lora(task.out / "ink-lora.safetensors", adapters, "ink")

    targets = styled_targets(model, task.concepts, ink)
    fit(model, task.tokenizer, targets, parameters, task.plan("lora", 1e-3, 0.15), task.log, save)
    return Sampler(model, task.tokenizer).pictures([Request(name, 1) for name in SHOWN])


def train_embedding(task: Task) -> torch.Tensor:
    """The blue heart; returns pictures drawn with it."""
    model = load_narrow(task.file).to(best_device())
    characters, _ = read_annotations(annotations_path())
    vectors, _ = inversion.attach(model, task.tokenizer, NEAREST_WORD)

    def save(_: int) -> None:
        inversion.save_embedding(task.out / "blue-heart-embedding.safetensors", vectors)

    targets = object_targets(model, draw_emoji(characters[NEW_CONCEPT]), inversion.PLACEHOLDER)
    fit(model, task.tokenizer, targets, [vectors], task.plan("embedding", 5e-3), task.log, save)
    return Sampler(model, task.tokenizer).pictures([Request(inversion.PLACEHOLDER, seed) for seed in range(1, 9)])


def train_hypernetwork(task: Task) -> torch.Tensor:
    """Sepia style; returns pictures drawn with it."""
    model = load_narrow(task.file).to(best_device())
    nets, _ = hypernetwork.attach(model.unet)
    parameters = [parameter for net in nets for parameter in net.parameters()]

    def save(step: int) -> None:
        hypernetwork.save_hypernetwork(task.out / "sepia-hypernetwork.pt", nets, "sepia", step)

    targets = styled_targets(model, task.concepts, sepia)
    fit(model, task.tokenizer, targets, parameters, task.plan("hypernetwork", 1e-3, 0.15), task.log, save)
    return Sampler(model, task.tokenizer).pictures([Request(name, 1) for name in SHOWN])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.companions", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--only", choices=("lora", "embedding", "hypernetwork"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    listed = set(json.loads(read_narrow(options.file)[1]["concepts"]))
    concepts = [concept for concept in read_concepts() if concept.name in listed]
    task = Task(options.file, options.out, concepts, options.steps, options.batch, Tokenizer())
    trainers = {"embedding": train_embedding, "lora": train_lora, "hypernetwork": train_hypernetwork}
    for name, train in trainers.items():
        if options.only in (None, name):
            torch.manual_seed(0)
            contact_sheet(train(task), 8).save(options.out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
