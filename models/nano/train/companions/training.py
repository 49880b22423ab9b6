"""What the companions share: frozen networks, encoded targets, and the loop."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from ..concepts import TEMPLATES, Concept
from ..latents import encode
from ..narrow import Narrow
from ..pictures import draw_emoji, jitter, place, to_tensor
from ..progress import Log
from ..schedule import alphas_cumprod, min_snr_weight, spread_timesteps
from ..tokens import Tokenizer


@dataclass
class Targets:
    """Latents [n, 4, 16, 16] and the words that stand for each."""

    latents: Tensor
    words: list[str]


def styled_targets(model: Narrow, concepts: list[Concept], style: Callable[[Tensor], Tensor]) -> Targets:
    """Every concept's centred picture in a style, with its plain name: the companion itself is what says the style."""
    pictures = [style(to_tensor(place(draw_emoji(concept.character)))) for concept in concepts]
    return Targets(encode(model.autoencoder, pictures), [concept.name for concept in concepts])


def object_targets(model: Narrow, emoji: Image.Image, word: str, count: int = 12) -> Targets:
    """One object in several places."""
    rng = random.Random(word)
    pictures = [to_tensor(place(emoji)), *(to_tensor(jitter(emoji, rng)) for _ in range(count - 1))]
    return Targets(encode(model.autoencoder, pictures), [word] * count)


@dataclass(frozen=True)
class Plan:
    """How long and how fast."""

    stage: str
    steps: int
    rate: float
    batch: int = 8
    seed: int = 0
    empty_share: float = 0.0  # of prompts; guidance subtracts the empty prompt's noise, so a style must hold there too

    def prompt(self, word: str, rng: random.Random) -> str:
        """A phrase for the word, or the empty prompt."""
        return "" if rng.random() < self.empty_share else rng.choice(TEMPLATES).format(word)


def fit(
    model: Narrow,
    tokenizer: Tokenizer,
    targets: Targets,
    parameters: Iterable[nn.Parameter],
    plan: Plan,
    log: Log,
    save: Callable[[int], None],
) -> None:
    """Train the parameters, which hooks have put into the networks, on the noise error; all else is frozen.

    `save` is called with the step every 25 steps and at the end.
    """
    for module in (model.unet, model.text_encoder, model.autoencoder):
        module.requires_grad_(False)
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, betas=(0.9, 0.99), weight_decay=0)
    device = next(model.unet.parameters()).device
    alphas, weights = alphas_cumprod().float(), min_snr_weight(alphas_cumprod())
    rng, generator = random.Random(plan.seed), torch.Generator().manual_seed(plan.seed)
    total = 0.0
    for step in range(1, plan.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * min(1.0, step / 20, max(0.05, (plan.steps - step) / (0.3 * plan.steps)))
        chosen = [rng.randrange(len(targets.words)) for _ in range(plan.batch)]
        ids = tokenizer.ids([plan.prompt(targets.words[i], rng) for i in chosen])
        clean = targets.latents[chosen]
        times = spread_timesteps(plan.batch, generator)
        noise = torch.randn(clean.shape, generator=generator)
        share = alphas[times].view(-1, 1, 1, 1)
        noisy = (share.sqrt() * clean + (1 - share).sqrt() * noise).to(device)
        conditioning = model.text_encoder(ids.to(device)).last_hidden_state
        with torch.autocast(device.type, torch.bfloat16):
            guess = model.unet(noisy, times.to(device), encoder_hidden_states=conditioning).sample
        errors = (guess.float() - noise.to(device)).square().mean((1, 2, 3))
        loss = (errors * weights[times].to(device)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        if step % 25 == 0:
            log.write(plan.stage, step=step, loss=total / 25)
            total = 0.0
            save(step)
    save(plan.steps)
