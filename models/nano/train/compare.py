"""Is a newly trained file worse? `python -m train.compare NEW.json OLD.json`, both from `python -m train.measure`.

Prints every figure of both. Ends with 1 when the new one is worse: a figure falls by more than its margin, or no
longer meets a goal that the old one meets. Ends with 2 when the two cannot be compared.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Measured = dict
Reader = Callable[[Measured], float | None]


def at(*path: str) -> Reader:
    """The figure at a path; None where it was not measured."""

    def read(measured: Measured) -> float | None:
        value = measured
        for part in path:
            value = value.get(part, {})
        return None if isinstance(value, dict) else value

    return read


def recognised(measured: Measured) -> float | None:
    """How many concepts are drawn as their own picture: their number times the mean share nearest by each way.

    More concepts make every share harder to reach, so a share alone would prefer the file that knows less.
    """
    latent, by_hash = (at("size128", "top1", way)(measured) for way in ("latent", "hash"))
    return None if latent is None or by_hash is None else measured["concepts"] * (latent + by_hash) / 2


@dataclass(frozen=True)
class Figure:
    """`margin` is what it may fall by, in its own unit; `goal` what it must not fall below once it was there."""

    name: str
    read: Reader
    margin: float
    goal: float | None = None
    lower_is_better: bool = False

    def verdict(self, new: Measured, old: Measured) -> str:
        """`worse`, `better`, `same` (within the margin), or `-` where one of them lacks it."""
        one, other = self.read(new), self.read(old)
        if one is None or other is None:
            return "-"
        gain = round(other - one if self.lower_is_better else one - other, 6)
        lost = self.goal is not None and one < self.goal <= other
        if lost or not gain >= -self.margin:  # NaN is worse
            return "worse"
        return "better" if gain > self.margin else "same"


# The first decides, so it has no margin: seeds and sampler are the same for both files. The margins of the shares and
# decibels are chosen, not measured.
FIGURES = (
    Figure("concepts drawn as their own picture, 128x128", recognised, 0.0),
    Figure("concepts", at("concepts"), 0.0, 200),
    Figure("nearest in latent space, 128x128", at("size128", "top1", "latent"), 0.01, 0.95),
    Figure("nearest by hash, 128x128", at("size128", "top1", "hash"), 0.01, 0.95),
    Figure("nearest in latent space, 64x64", at("size64", "top1", "latent"), 0.01),
    Figure("nearest by hash, 64x64", at("size64", "top1", "hash"), 0.02),
    Figure("nearest in latent space, hires pass at 0.3", at("size256", "strength0.3", "latent"), 0.02),
    Figure("nearest by hash, hires pass at 0.3", at("size256", "strength0.3", "hash"), 0.03),
    Figure("autoencoder on its own concepts, dB", at("autoencoderPsnr", "ownConcepts", "mean"), 0.5, 30),
    Figure("autoencoder on unseen emoji, dB", at("autoencoderPsnr", "unseen", "mean"), 0.5, 24),
    Figure("PSNR between seeds, dB", at("size128", "seedPsnr"), 1.0, lower_is_better=True),
    Figure("img2img at 0.5: overlap", at("img2imgHalf", "overlap"), 0.05),
    Figure("two names: one recognised", at("pairs", "one"), 0.05),
    Figure("two names: both recognised", at("pairs", "both"), 0.05),
    Figure("two names: each in its half", at("pairs", "placed"), 0.05),
)


def comparable(measured: Measured, other: Measured) -> Measured:
    """The figures that were measured in the same way: pairs count only where both files were asked for as many.

    Throws ValueError where seeds or steps differ or the pictures of 128x128 were not measured: nothing is left then.
    """
    for name in ("seeds", "steps"):
        if measured.get(name) != other.get(name):
            raise ValueError(f"{name} differ ({measured.get(name)} and {other.get(name)}): measure both files anew")
    if recognised(measured) is None:
        raise ValueError(f"the measure of {measured.get('file')} has no pictures of 128x128")
    drawn, asked = (one.get("pairs", {}).get("drawn") for one in (measured, other))
    alike = drawn is not None and drawn == asked
    return measured if alike else {name: value for name, value in measured.items() if name != "pairs"}


def compare(new: Measured, old: Measured) -> list[tuple[Figure, str]]:
    """Every figure with its verdict."""
    one, other = comparable(new, old), comparable(old, new)
    return [(figure, figure.verdict(one, other)) for figure in FIGURES]


def is_worse(verdicts: list[tuple[Figure, str]]) -> bool:
    """Whether the new file is not to replace the old one."""
    return any(verdict == "worse" for _, verdict in verdicts)


def report(new: Measured, old: Measured) -> tuple[str, bool]:
    """(Lines for a person, whether the new one is worse)."""
    verdicts = compare(new, old)
    names = [one["file"].removesuffix(".safetensors") for one in (new, old)]
    rows = [("", *names, "")]
    for figure, verdict in verdicts:
        values = (figure.read(one) for one in (new, old))
        rows.append((verdict, *("-" if value is None else f"{value:.4g}" for value in values), figure.name))
    width = max(10, *map(len, names))
    lines = [f"{verdict:6} {one:>{width}} {other:>{width}}  {name}".rstrip() for verdict, one, other, name in rows]
    worse = is_worse(verdicts)
    lines.append(f"{names[0]} is {'worse' if worse else 'not worse'} than {names[1]}")
    return "\n".join(lines), worse


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m train.compare", description=__doc__)
    parser.add_argument("new", type=Path)
    parser.add_argument("old", type=Path)
    options = parser.parse_args()
    new, old = (json.loads(path.read_text(encoding="utf-8")) for path in (options.new, options.old))
    try:
        text, worse = report(new, old)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(text)
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
