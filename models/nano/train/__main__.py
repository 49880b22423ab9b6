"""`python -m train` in models/nano: every stage in turn, each from where it stopped. See README.md."""

import argparse
import os
from pathlib import Path

import torch

from .config import Config
from .progress import Log
from .sources import TRAIN


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("--stage", choices=("all", "autoencoder", "diffusion"), default="all")
    parser.add_argument("--state", type=Path, default=TRAIN / ".state", help="folder for what an interrupted run left")
    parser.add_argument("--init", type=Path, help="narrow weights to begin from (default: random)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--autoencoder-steps", type=int, default=Config.autoencoder_steps)
    parser.add_argument("--diffusion-steps", type=int, default=Config.diffusion_steps)
    parser.add_argument("--batch", type=int, default=Config.diffusion_batch)
    parser.add_argument("--rate", type=float, default=Config.diffusion_rate)
    parser.add_argument("--pid-file", type=Path, help="write the process id here, to stop and continue the training")
    return parser.parse_args()


def main() -> None:
    """Run the stages asked for."""
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
    )
    log = Log(options.state / "losses.jsonl")
    if options.stage in ("all", "autoencoder"):
        from .autoencoder import train_autoencoder

        train_autoencoder(config, log)


if __name__ == "__main__":
    main()
