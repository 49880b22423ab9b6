"""The figures of the measure: each is a function of a model and its concepts."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .concepts import Concept, measured_pairs
from .latents import decode, encode
from .narrow import Narrow
from .nearest import centred, nearest_by_hash, nearest_by_latent, overlap, psnr
from .pictures import draw_emoji, place, to_tensor
from .sampling import Request, Sampler

PAIR_SEEDS = (1, 2, 3, 4)
HIRES_STRENGTHS = (0.3, 0.5)


def originals(concepts: list[Concept], size: int = 128) -> Tensor:
    """[n, 3, size, size]."""
    return torch.stack([to_tensor(place(draw_emoji(concept.character), size)) for concept in concepts])


def autoencoder_figures(model: Narrow, concepts: list[Concept], size: int = 128) -> dict[str, float]:
    """PSNR of whole pictures: the mean over pictures, the worst, and that of the error of all."""
    pictures = originals(concepts, size)
    rebuilt = decode(model.autoencoder, encode(model.autoencoder, list(pictures)))
    each = psnr(pictures, rebuilt)
    pooled = 10 * torch.log10(1 / (10 ** (-each / 10)).mean())
    return {"mean": each.mean().item(), "worst": each.min().item(), "pooled": pooled.item()}


@dataclass
class Nearest:
    """For each drawn picture the index of the known one that is nearest: in latent space, and by perceptual hash."""

    latent: Tensor
    hash: Tensor

    @staticmethod
    def of(model: Narrow, drawn: Tensor, known: Tensor) -> "Nearest":
        """Pictures [n, 3, h, w] among known ones [m, 3, h, w]."""
        latents = encode(model.autoencoder, list(drawn)), encode(model.autoencoder, list(known))
        return Nearest(nearest_by_latent(*latents), nearest_by_hash(drawn, known))


def top1(model: Narrow, drawn: Tensor, known: Tensor, labels: Tensor) -> dict[str, float]:
    """Share of drawn pictures whose nearest known one is that of their own concept; `both`: by either way at once."""
    figures: dict[str, float] = {}
    for name, change in (("", centred), ("Uncentred", lambda pictures: pictures)):
        found = Nearest.of(model, change(drawn), change(known))
        right = {"latent": found.latent == labels, "hash": found.hash == labels}
        for way, hits in {**right, "both": right["latent"] & right["hash"]}.items():
            figures[f"{way}{name}"] = hits.float().mean().item()
    return figures


def missed(
    model: Narrow, drawn: Tensor, known: Tensor, labels: Tensor, concepts: list[Concept]
) -> dict[str, dict[str, list[str]]]:
    """What is nearest instead, for every concept with a miss, in latent space and by hash."""
    found = Nearest.of(model, centred(drawn), centred(known))
    result: dict[str, dict[str, list[str]]] = {}
    for way, others in (("latent", found.latent), ("hash", found.hash)):
        names = result.setdefault(way, {})
        for label, other in zip(labels.tolist(), others.tolist(), strict=True):
            if label != other:
                names.setdefault(concepts[label].name, []).append(concepts[other].name)
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


def pair_figures(sampler: Sampler, concepts: list[Concept], known: Tensor) -> dict[str, float | int]:
    """Two names, in pairs that no training has seen, four seeds each.

    `one` and `both`: among the five concepts that some part of the picture is nearest to (parts: the whole, and either
    half). `placed`: the first name is nearest in the left half and the second in the right, of all concepts. Half
    pictures are compared with the concept as the pair pictures of training place it. `chance` is `both` where the
    names are those of the next pair.
    """
    pairs = [pair for pair in measured_pairs(concepts) for _ in PAIR_SEEDS]
    if not pairs:
        return {}
    requests = [
        Request(f"{concepts[a].name} and {concepts[b].name}", seed)
        for (a, b), seed in zip(pairs, itertools.cycle(PAIR_SEEDS), strict=False)
    ]
    drawn = sampler.pictures(requests)
    halves = torch.stack([to_tensor(place(draw_emoji(c.character), width=64)) for c in concepts])
    distances = []
    for part, reference in ((drawn, known), (drawn[..., :64], halves), (drawn[..., 64:], halves)):
        distance = torch.cdist(
            encode(sampler.autoencoder, list(part)).flatten(1), encode(sampler.autoencoder, list(reference)).flatten(1)
        )
        distances.append(distance / part[0].numel() ** 0.5)
    first = torch.stack(distances).min(0).values.topk(min(5, len(concepts)), largest=False).indices.tolist()
    left, right = (distance.argmin(1).tolist() for distance in distances[1:])
    found = [(a in five) + (b in five) for (a, b), five in zip(pairs, first, strict=True)]
    others = pairs[len(PAIR_SEEDS) :] + pairs[: len(PAIR_SEEDS)]
    chance = [a in five and b in five for (a, b), five in zip(others, first, strict=True)]
    placed = [pair == sides for pair, sides in zip(pairs, zip(left, right, strict=True), strict=True)]
    return {
        "drawn": len(pairs),
        "one": sum(n >= 1 for n in found) / len(found),
        "both": sum(n == 2 for n in found) / len(found),
        "placed": sum(placed) / len(placed),
        "chance": sum(chance) / len(chance),
    }


def enlarged(small: Tensor) -> Tensor:
    """[n, 3, h, w] at twice its height and width."""
    return functional.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False).clamp(-1, 1)


def second_pass(sampler: Sampler, names: list[str], large: Tensor, strength: float) -> Tensor:
    """Image to image over enlarged pictures [n, 3, h, h], as a hires pass with an upscaler of pixels does."""
    starts, size = encode(sampler.autoencoder, list(large)), large.shape[-1]
    asked = zip(names, starts, strict=True)
    return sampler.pictures([Request(n, 5, size, start=s, strength=strength) for n, s in asked])


def hires_figures(sampler: Sampler, concepts: list[Concept], small: Tensor) -> dict[str, dict[str, float]]:
    """Pictures of 128x128, one a concept, enlarged and drawn on at 256x256, by strength: share nearest to their own.

    `detail`: the mean step between neighbouring pixels, as a share of the originals' at that size; beside it that of
    the enlarged picture alone.
    """
    known, labels = originals(concepts, 256), torch.arange(len(concepts))
    names, large = [concept.name for concept in concepts], enlarged(small)
    figures: dict[str, dict[str, float]] = {"enlarged": {"detail": detail(large) / detail(known)}}
    for strength in HIRES_STRENGTHS:
        drawn = second_pass(sampler, names, large, strength)
        figures[f"strength{strength}"] = top1(sampler.model, drawn, known, labels) | {
            "detail": detail(drawn) / detail(known)
        }
    return figures


def detail(pictures: Tensor) -> float:
    """Mean absolute difference between neighbours, down and across."""
    across, down = pictures.diff(dim=-1).abs().mean(), pictures.diff(dim=-2).abs().mean()
    return (across + down).item()
