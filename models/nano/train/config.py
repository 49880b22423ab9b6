"""What a training run is: one object, kept with its state."""

from dataclasses import dataclass
from pathlib import Path

import torch


def best_device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Config:
    """`init` is a narrow file to begin from, None for random weights. Steps count from the beginning of a stage."""

    state: Path
    init: Path | None
    threads: int = 2
    autoencoder_steps: int = 20_000
    autoencoder_batch: int = 16
    autoencoder_rate: float = 6e-4
    diffusion_steps: int = 30_000
    diffusion_batch: int = 16
    diffusion_rate: float = 6e-4
    save_every: int = 100
    seed: int = 0
    stop_after: int | None = None  # end a stage early, as an interruption would
    limit: int | None = None  # only so many concepts, for a quick trial of the whole way

    def last(self, steps: int) -> int:
        """The step at which a stage of so many steps ends in this run."""
        return steps if self.stop_after is None else min(steps, self.stop_after)

    @property
    def device(self) -> torch.device:
        """A GPU when there is one."""
        return best_device()


def learning_rate(step: int, steps: int, peak: float, warmup: int = 100) -> float:
    """Up in a straight line, level, and down to a tenth over the last fifth."""
    rise = min(1.0, (step + 1) / warmup)
    left = (steps - step) / (0.2 * steps)
    return peak * min(rise, max(0.1, min(1.0, left)))
