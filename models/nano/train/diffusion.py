"""Second stage: UNet and text encoder together, on latents encoded once."""

import json
import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .concepts import PAIR_TEMPLATES, Concept, measured_pairs, read_concepts
from .config import Config, learning_rate
from .ema import Ema
from .latents import Latents, cached_latents, fingerprint
from .narrow import TOKENS, Narrow, load_narrow, load_text_state, read_narrow, text_state
from .networks import make_text_encoder, make_unet
from .progress import Log, load_state, save_state
from .schedule import alphas_cumprod, min_snr_weight, spread_timesteps
from .tokens import Tokenizer, row_numbers, vocabulary_of

EMPTY_SHARE = 0.1
SMALL_SHARE = 0.2
HUGE_SHARE = 0.1
HUGE_NOISE = 0.6  # of the timesteps: 256x256 is for a hires pass, which begins from a picture
PAIR_SHARE = 0.4
PLACED_SHARE = 0.1
SMALL_WORD_SHARE = 0.5


@dataclass
class Parts:
    """What is trained: the UNet and a text encoder whose embedding has a row per id of `vocabulary`."""

    unet: nn.Module
    text_encoder: nn.Module
    vocabulary: list[int]

    @property
    def both(self) -> nn.ModuleDict:
        """One module, for optimizer, average and state."""
        return nn.ModuleDict({"unet": self.unet, "text_encoder": self.text_encoder})


def begin(config: Config, vocabulary: list[int]) -> Parts:
    """Random weights, or those of `init`; rows of its missing tokens are drawn with the deviation of the others."""
    torch.manual_seed(config.seed)
    unet, encoder = make_unet(), make_text_encoder(len(vocabulary))
    if config.init:
        known = load_narrow(config.init)
        unet.load_state_dict(known.unet.state_dict())
        state = text_state(known.text_encoder)
        table = state[f"{TOKENS}.weight"][vocabulary]
        missing = torch.tensor([token not in set(known.token_ids) for token in vocabulary])
        table[missing] = torch.randn(int(missing.sum()), table.shape[1]) * table[~missing].std()
        load_text_state(encoder, {**state, f"{TOKENS}.weight": table})
    return Parts(unet.to(config.device).train(), encoder.to(config.device).train(), vocabulary)


def to_narrow(parts: Parts, average: Ema, autoencoder: nn.Module) -> Narrow:
    """Networks of the averaged weights, with the full embedding table."""
    unet, small, encoder = make_unet(), make_text_encoder(len(parts.vocabulary)), make_text_encoder()
    average.write_to(nn.ModuleDict({"unet": unet, "text_encoder": small}))
    state = text_state(small)
    table = torch.zeros_like(text_state(encoder)[f"{TOKENS}.weight"])
    table[parts.vocabulary] = state[f"{TOKENS}.weight"]
    load_text_state(encoder, {**state, f"{TOKENS}.weight": table})
    return Narrow(encoder.eval(), unet.eval(), autoencoder, parts.vocabulary)


class Batches:
    """Latents with their prompts. Concepts that `init` does not know are drawn twice as often."""

    def __init__(self, latents: Latents, concepts: list[Concept], known: set[str]) -> None:
        self.latents = latents
        self.concepts = concepts
        self.unseen = {frozenset(pair) for pair in measured_pairs(concepts)}
        self.weights = [1.0 if concept.name in known else 2.0 for concept in concepts] if known else None

    def draw(self, size: int, rng: random.Random) -> tuple[Tensor, list[str], float]:
        """Return (latents [n, 4, s, s], n prompts, the share of the timesteps to train them at).

        Pictures of 64x64 cost a quarter of 128x128, so twice as many of them; 256x256 more than four times as much.
        """
        kind, noise = rng.random(), 1.0
        if kind < SMALL_SHARE:
            rows = [self._single(self.latents.small, rng) for _ in range(2 * size)]
        elif kind < SMALL_SHARE + HUGE_SHARE:
            rows, noise = [self._single(self.latents.huge, rng) for _ in range(max(1, size // 4))], HUGE_NOISE
        else:
            rows = [self._large(rng) for _ in range(size)]
        prompts = ["" if rng.random() < EMPTY_SHARE else prompt for _, prompt in rows]
        return torch.stack([latent for latent, _ in rows]), prompts, noise

    def _large(self, rng: random.Random) -> tuple[Tensor, str]:
        kind = rng.random()
        if kind < PAIR_SHARE:
            return self._pair(rng)
        if kind < PAIR_SHARE + PLACED_SHARE:
            return self._single(self.latents.placed, rng, "small" if rng.random() < SMALL_WORD_SHARE else "")
        return self._single(self.latents.large, rng)

    def _single(self, bank: Tensor, rng: random.Random, word: str = "") -> tuple[Tensor, str]:
        index = rng.choices(range(len(self.concepts)), self.weights)[0]
        return bank[index, rng.randrange(bank.shape[1])], self.concepts[index].prompt(rng, word)

    def _pair(self, rng: random.Random) -> tuple[Tensor, str]:
        everyone = range(len(self.concepts))
        left, right = rng.choices(everyone, self.weights, k=2)
        while len(everyone) > 2 and (left == right or frozenset((left, right)) in self.unseen):
            left, right = rng.choices(everyone, self.weights, k=2)
        banks = ((self.latents.left, left), (self.latents.right, right))
        parts = [bank[index, rng.randrange(bank.shape[1])] for bank, index in banks]
        return torch.cat(parts, -1), rng.choice(PAIR_TEMPLATES).format(
            self.concepts[left].name, self.concepts[right].name
        )


def train_diffusion(config: Config, autoencoder: nn.Module, log: Log) -> Narrow:
    """Train, or go on from the state on disk, and return the averaged networks."""
    concepts = read_concepts()[: config.limit]
    tokenizer = Tokenizer()
    metadata = read_narrow(config.init)[1] if config.init else {}
    known_ids = load_narrow(config.init).token_ids if config.init else None
    parts = begin(config, vocabulary_of(tokenizer, concepts, known_ids))
    average = Ema(parts.both, 0.999)
    optimizer = torch.optim.AdamW(
        parts.both.parameters(), lr=config.diffusion_rate, betas=(0.9, 0.99), weight_decay=0.01
    )
    latents = cached_latents(config.state / "latents.pt", autoencoder, concepts, config.seed)
    path, step = config.state / "diffusion.pt", 0
    belongs_to = {
        "autoencoder": fingerprint(autoencoder),
        "concepts": [concept.name for concept in concepts],
        "vocabulary": parts.vocabulary,
        "batch": config.diffusion_batch,
        "seed": config.seed,
    }
    if (saved := load_state(path, belongs_to)) is not None:
        parts.both.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average.load(saved["average"], saved["step"])
        step = saved["step"]
    batches = Batches(latents, concepts, set(known_names(metadata)))
    weights, alphas = min_snr_weight(alphas_cumprod()), alphas_cumprod().float()
    total = 0.0
    while step < config.last(config.diffusion_steps):
        # Seeded by the step, so that an interrupted run sees the same data as an uninterrupted one.
        rng = random.Random(f"{config.seed} diffusion {step}")
        generator = torch.Generator().manual_seed(rng.getrandbits(60))
        clean, prompts, most = batches.draw(config.diffusion_batch, rng)
        rows = row_numbers(parts.vocabulary, tokenizer.ids(prompts))
        times = spread_timesteps(len(clean), generator, most)
        noise = torch.randn(clean.shape, generator=generator)
        share = alphas[times].view(-1, 1, 1, 1)
        noisy = share.sqrt() * clean + (1 - share).sqrt() * noise
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config.diffusion_steps, config.diffusion_rate)
        device = config.device
        conditioning = parts.text_encoder(rows.to(device)).last_hidden_state
        with torch.autocast(device.type, torch.bfloat16):
            guess = parts.unet(noisy.to(device), times.to(device), encoder_hidden_states=conditioning).sample
        errors = (guess.float() - noise.to(device)).square().mean((1, 2, 3))
        loss = (errors * weights[times].to(device)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.both.parameters(), 1.0)
        optimizer.step()
        average.update()
        step += 1
        total += loss.item()
        if step % config.save_every == 0:
            log.write("diffusion", step=step, loss=total / config.save_every)
            total = 0.0
            save_state(
                path,
                {
                    "model": parts.both.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average.state(),
                    "step": step,
                    "belongs_to": belongs_to,
                },
            )
    return to_narrow(parts, average, autoencoder)


def known_names(metadata: dict[str, str]) -> list[str]:
    """Concepts that the file's metadata lists."""
    return json.loads(metadata.get("concepts", "[]"))
