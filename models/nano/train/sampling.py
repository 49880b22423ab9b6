"""Pictures from the narrow networks: Euler with guidance, as the engine samples, many at a time."""

from dataclasses import dataclass

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from .latents import decode
from .narrow import Narrow
from .schedule import discrete_sigmas
from .tokens import Tokenizer

CHUNK = 16


@dataclass(frozen=True)
class Request:
    """One picture. With `start` ([4, h, w], a latent) and a strength below 1 it is image to image."""

    prompt: str
    seed: int
    size: int = 128
    start: Tensor | None = None
    strength: float = 1.0


class Sampler:
    """Holds what sampling needs. `steps` and `guidance` are the same for all its pictures."""

    def __init__(self, model: Narrow, tokenizer: Tokenizer, steps: int = 12, guidance: float = 3.0) -> None:
        self.model = model
        self.text_encoder: CLIPTextModel = model.text_encoder
        self.unet: UNet2DConditionModel = model.unet
        self.autoencoder: AutoencoderTiny = model.autoencoder
        self.tokenizer = tokenizer
        self.steps = steps
        self.guidance = guidance

    @torch.no_grad()
    def latents(self, requests: list[Request]) -> Tensor:
        """[n, 4, h, w]; all requests have one size and one strength."""
        return torch.cat([self._chunk(requests[i : i + CHUNK]) for i in range(0, len(requests), CHUNK)])

    def pictures(self, requests: list[Request]) -> Tensor:
        """[n, 3, h, w] in [-1, 1]."""
        return decode(self.autoencoder, self.latents(requests))

    def _chunk(self, requests: list[Request]) -> Tensor:
        prompts = [request.prompt for request in requests]
        ids = self.tokenizer.ids([*prompts, *[""] * len(prompts)])
        device = next(self.unet.parameters()).device
        conditioning = self.text_encoder(ids.to(device)).last_hidden_state
        sigmas, times = discrete_sigmas(self.steps)
        side = requests[0].size // 8
        noise = torch.stack(
            [torch.randn(4, side, side, generator=torch.Generator().manual_seed(r.seed)) for r in requests]
        )
        skip, sample = 0, torch.zeros_like(noise)
        if requests[0].start is not None:
            # The engine evaluates floor(steps * strength) + 1 times.
            skip = self.steps - min(int(self.steps * requests[0].strength), self.steps - 1) - 1
            sample = torch.stack([r.start for r in requests if r.start is not None])
        sample = (sample + noise * sigmas[skip]).to(device)
        for i in range(skip, self.steps):
            scaled = sample / (sigmas[i] ** 2 + 1) ** 0.5
            with torch.autocast(device.type, torch.bfloat16):
                both = self.unet(
                    torch.cat([scaled, scaled]), times[i], encoder_hidden_states=conditioning
                ).sample.float()
            prompted, plain = both.chunk(2)
            sample = sample + (plain + self.guidance * (prompted - plain)) * (sigmas[i + 1] - sigmas[i])
        return sample.cpu()
