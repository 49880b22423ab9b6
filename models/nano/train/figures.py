"""The figures of the measure: each is a function of a model and its concepts."""

import itertools

import torch
from torch import Tensor

from .concepts import Concept
from .latents import decode, encode
from .narrow import Narrow
from .nearest import centred, nearest_by_hash, nearest_by_latent, overlap, psnr
from .pictures import draw_emoji, place, to_tensor
from .sampling import Request, Sampler


def originals(concepts: list[Concept], size: int = 128) -> Tensor:
    """[n, 3, size, size]."""
    return torch.stack([to_tensor(place(draw_emoji(concept.character), size)) for concept in concepts])


def autoencoder_figures(model: Narrow, concepts: list[Concept]) -> dict[str, float]:
    """PSNR of whole pictures: the mean over pictures, the worst, and that of the error of all."""
    pictures = originals(concepts)
    rebuilt = decode(model.autoencoder, encode(model.autoencoder, list(pictures)))
    each = psnr(pictures, rebuilt)
    pooled = 10 * torch.log10(1 / (10 ** (-each / 10)).mean())
    return {"mean": each.mean().item(), "worst": each.min().item(), "pooled": pooled.item()}


def top1(model: Narrow, drawn: Tensor, known: Tensor, labels: Tensor) -> dict[str, float]:
    """Share of drawn pictures whose nearest known picture is that of their own concept."""
    figures: dict[str, float] = {}
    for name, change in (("", centred), ("Uncentred", lambda pictures: pictures)):
        mine, theirs = change(drawn), change(known)
        latents = encode(model.autoencoder, list(mine)), encode(model.autoencoder, list(theirs))
        figures[f"latent{name}"] = (nearest_by_latent(*latents) == labels).float().mean().item()
        figures[f"hash{name}"] = (nearest_by_hash(mine, theirs) == labels).float().mean().item()
    return figures


def missed(
    model: Narrow, drawn: Tensor, known: Tensor, labels: Tensor, concepts: list[Concept]
) -> dict[str, list[str]]:
    """What is nearest instead, for every concept with a miss in latent space."""
    found = nearest_by_latent(
        encode(model.autoencoder, list(centred(drawn))), encode(model.autoencoder, list(centred(known)))
    )
    result: dict[str, list[str]] = {}
    for label, other in zip(labels.tolist(), found.tolist(), strict=True):
        if label != other:
            result.setdefault(concepts[label].name, []).append(concepts[other].name)
    return result


def seed_difference(drawn: Tensor) -> float:
    """Mean PSNR between seeds, pictures [concepts, seeds, 3, h, w]. Lower: they differ more."""
    pairs = itertools.combinations(range(drawn.shape[1]), 2)
    return torch.stack([psnr(drawn[:, a], drawn[:, b]).clamp(max=60).mean() for a, b in pairs]).mean().item()


def img2img_figures(sampler: Sampler, concepts: list[Concept], count: int = 24) -> dict[str, float]:
    """Overlap of foregrounds between a small off-centre object and what strength 0.5 makes of it with another's name.

    Beside it the overlap with a picture of that name from noise: keeping the composition means the first is far larger.
    """
    chosen = concepts[:: max(1, len(concepts) // count)][:count]
    inputs = torch.stack(
        [
            to_tensor(place(draw_emoji(c.character), scale=0.6, shift=((-0.18, 0.18)[i % 2], 0.15)))
            for i, c in enumerate(chosen)
        ]
    )
    starts = encode(sampler.autoencoder, list(inputs))
    names = [concept.name for concept in chosen[1:] + chosen[:1]]
    kept = sampler.pictures([Request(n, 5, start=s, strength=0.5) for n, s in zip(names, starts, strict=True)])
    free = sampler.pictures([Request(n, 5) for n in names])
    return {"overlap": overlap(inputs, kept).mean().item(), "overlapFromNoise": overlap(inputs, free).mean().item()}


def pair_figures(sampler: Sampler, concepts: list[Concept], known: Tensor, count: int = 24) -> dict[str, float]:
    """Two names: the share where one, or both, are among the five concepts that some part of the picture is nearest to.

    Parts: the whole, and either half against the picture as the pair pictures of training place it.
    """
    step = max(1, len(concepts) // count)
    pairs = [(i, (i + len(concepts) // 2) % len(concepts)) for i in range(0, len(concepts), step)][:count]
    drawn = sampler.pictures([Request(f"{concepts[a].name} and {concepts[b].name}", 6) for a, b in pairs])
    halves = torch.stack([to_tensor(place(draw_emoji(c.character), width=64)) for c in concepts])
    distances = []
    for part, reference in ((drawn, known), (drawn[..., :64], halves), (drawn[..., 64:], halves)):
        distance = torch.cdist(
            encode(sampler.autoencoder, list(part)).flatten(1), encode(sampler.autoencoder, list(reference)).flatten(1)
        )
        distances.append(distance / part[0].numel() ** 0.5)
    first = torch.stack(distances).min(0).values.topk(5, largest=False).indices.tolist()
    found = [(a in five) + (b in five) for (a, b), five in zip(pairs, first, strict=True)]
    return {"one": sum(n >= 1 for n in found) / len(found), "both": sum(n == 2 for n in found) / len(found)}
