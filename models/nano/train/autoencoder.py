"""First stage: the autoencoder, on crops of 64x64 pixels (a quarter of the work of whole pictures)."""

import random

import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .concepts import read_concepts
from .config import Config, learning_rate
from .ema import Ema
from .narrow import load_narrow
from .networks import make_autoencoder
from .pictures import draw_emoji, jitter, place, to_tensor
from .progress import Log, load_state, save_state

CROP = 64
LATENT_PULL = 1e-3


def random_crop(emoji: Image.Image, rng: random.Random) -> Tensor:
    """[3, 64, 64]: mostly a part of a 128x128 picture, sometimes the object small: 64x64 is asked for too."""
    draw = rng.random()
    if draw < 0.15:
        return to_tensor(jitter(emoji, rng, CROP))
    picture = to_tensor(jitter(emoji, rng) if draw < 0.6 else place(emoji))
    # Multiples of 8 as well as others: the grid of the latent must not matter.
    top, left = rng.randint(0, 64), rng.randint(0, 64)
    return picture[:, top : top + CROP, left : left + CROP]


def reconstruct(model: AutoencoderTiny, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return (reconstruction, latents)."""
    latents = model.encode(pictures).latents
    return model.decode(latents).sample, latents


def loss_of(model: AutoencoderTiny, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return (loss, mean squared error). Channels are pulled a little to mean 0 and deviation 1."""
    with torch.autocast(pictures.device.type, torch.bfloat16):
        output, latents = reconstruct(model, pictures)
    error = functional.mse_loss(output.float(), pictures)
    flat = latents.float().transpose(0, 1).flatten(1)
    pull = flat.mean(1).square().mean() + (flat.std(1) - 1).square().mean()
    return error + 0.1 * functional.l1_loss(output.float(), pictures) + LATENT_PULL * pull, error


def batch_of(emoji: list[Image.Image], size: int, rng: random.Random) -> Tensor:
    """[n, 3, 64, 64]."""
    return torch.stack([random_crop(rng.choice(emoji), rng) for _ in range(size)])


def train_autoencoder(config: Config, log: Log) -> AutoencoderTiny:
    """Train, or go on from the state on disk, and return the averaged network."""
    torch.manual_seed(config.seed)
    model = load_narrow(config.init).autoencoder if config.init else make_autoencoder()
    model = model.to(config.device, memory_format=torch.channels_last).train()
    average = Ema(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.autoencoder_rate, betas=(0.9, 0.99), weight_decay=0)
    path = config.state / "autoencoder.pt"
    step = 0
    if (saved := load_state(path)) is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average.load(saved["average"], saved["step"])
        step = saved["step"]
    emoji = [draw_emoji(concept.character) for concept in read_concepts()[: config.limit]]
    total = 0.0
    while step < config.last(config.autoencoder_steps):
        # Seeded by the step, so that an interrupted run sees the same pictures as an uninterrupted one.
        rng = random.Random(f"{config.seed} autoencoder {step}")
        pictures = batch_of(emoji, config.autoencoder_batch, rng).to(config.device, memory_format=torch.channels_last)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config.autoencoder_steps, config.autoencoder_rate)
        loss, error = loss_of(model, pictures)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update()
        step += 1
        total += error.item()
        if step % config.save_every == 0:
            log.write("autoencoder", step=step, mse=total / config.save_every)
            total = 0.0
            save_state(
                path,
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average.state(),
                    "step": step,
                },
            )
    average.write_to(model)
    return model.eval()
