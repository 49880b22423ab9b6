"""`python -m train` in models/nano: every stage in turn, each from where it stopped. See README.md."""

import argparse
import json
import os
from pathlib import Path

import torch

from .autoencoder import train_autoencoder
from .card import table
from .compare import report
from .concepts import read_concepts
from .config import Config
from .diffusion import train_diffusion
from .measure import measure, rounded
from .narrow import save_narrow
from .progress import Log
from .sampling import Request, Sampler
from .sheets import contact_sheet
from .sources import TRAIN, embedded_path
from .tokens import Tokenizer


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        help="also writes .json and .png beside it (default: narrow.safetensors in the state folder)",
    )
    parser.add_argument("--stage", choices=("all", "autoencoder"), default="all", help="autoencoder: stop after it")
    parser.add_argument("--state", type=Path, default=TRAIN / ".state", help="folder for what an interrupted run left")
    parser.add_argument("--init", type=Path, help="narrow weights to begin from (default: random)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--autoencoder-steps", type=int, default=Config.autoencoder_steps)
    parser.add_argument("--diffusion-steps", type=int, default=Config.diffusion_steps)
    parser.add_argument("--batch", type=int, default=Config.diffusion_batch)
    parser.add_argument("--rate", type=float, default=Config.diffusion_rate)
    parser.add_argument("--save-every", type=int, default=Config.save_every, help="steps between states and log lines")
    parser.add_argument("--limit", type=int, help="only the first so many concepts, for a quick trial")
    parser.add_argument("--pid-file", type=Path, help="write the process id here, to stop and continue the training")
    options = parser.parse_args()
    options.out = options.out or options.state / "narrow.safetensors"
    return options


def against_embedded(measured: dict) -> str:
    """Whether this file is worse than the embedded one, whose measure is kept here under its name."""
    kept = TRAIN / f"measure-{embedded_path().stem}.json"
    try:
        return report(measured, json.loads(kept.read_text(encoding="utf-8")))[0]
    except (FileNotFoundError, ValueError) as error:
        return f"not compared with the embedded model: {error}"


def main() -> None:
    """Run the stages, measure, draw the sheet, print the card's table and how it compares with the embedded model."""
    options = parse()
    torch.set_num_threads(options.threads)
    options.state.mkdir(parents=True, exist_ok=True)
    if options.pid_file:
        options.pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    config = Config(
        state=options.state,
        init=options.init,
        threads=options.threads,
        autoencoder_steps=options.autoencoder_steps,
        diffusion_steps=options.diffusion_steps,
        diffusion_batch=options.batch,
        diffusion_rate=options.rate,
        save_every=options.save_every,
        limit=options.limit,
    )
    log = Log(options.state / "losses.jsonl")
    autoencoder = train_autoencoder(config, log)
    if options.stage == "autoencoder":
        return
    model = train_diffusion(config, autoencoder, log)
    names = [concept.name for concept in read_concepts()[: options.limit]]
    save_narrow(options.out, model, names)
    measured = rounded(measure(options.out, (128, 64), None))
    options.out.with_suffix(".json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    sampler = Sampler(model.to(config.device), Tokenizer(), steps=16)
    contact_sheet(sampler.pictures([Request(name, 1) for name in names])).save(options.out.with_suffix(".png"))
    print(table([measured]))
    print(against_embedded(measured))


if __name__ == "__main__":
    main()
