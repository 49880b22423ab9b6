"""Exponential moving average of weights: what is sampled and shipped; it stands in for a falling learning rate."""

import torch
from torch import Tensor, nn


class Ema:
    """Shadow copy of a module's trainable tensors."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.steps = 0
        self.shadow = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Follow the module; quickly at first, since the beginning is not worth remembering."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        for name, value in self.module.named_parameters():
            self.shadow[name].lerp_(value, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """Averaged tensors by name."""
        return self.shadow

    def load(self, state: dict[str, Tensor], steps: int) -> None:
        """Continue from a saved average."""
        self.steps = steps
        for name, value in state.items():
            self.shadow[name].copy_(value)

    @torch.no_grad()
    def write_to(self, module: nn.Module) -> None:
        """Copy the average into a module of the same kind."""
        for name, value in module.named_parameters():
            value.copy_(self.shadow[name])
