#!/usr/bin/env python3
"""Write what torch.nn.functional.interpolate gives, for test/unit/hires/latent-resize.test.ts. See README.md."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

HERE = Path(__file__).resolve().parent
MODES = [("bilinear", False), ("bilinear", True), ("bicubic", False), ("bicubic", True), ("nearest", False),
         ("nearest-exact", False)]
# [n, channels, height, width] and the height and width to come: doubled, half more, odd, non-uniform, one cell,
# a long row (places lose digits in 32 bits), smaller, one axis unchanged.
SHAPES = [((2, 3, 4, 5), (8, 10)), ((1, 4, 8, 6), (12, 9)), ((1, 2, 7, 5), (11, 9)), ((1, 2, 3, 9), (12, 10)),
          ((1, 1, 1, 1), (3, 2)), ((1, 1, 3, 150), (5, 229)), ((1, 1, 9, 13), (5, 6)), ((1, 1, 5, 8), (5, 13))]
PAIRS_WANTED = 12


def exact_index(mode, index, size, target):
    """The nearest input in exact arithmetic."""
    return index * size // target if mode == "nearest" else (2 * index + 1) * size // (2 * target)


def indexes(mode, size, target):
    row = torch.arange(size, dtype=torch.float32)[None, None]
    return interpolate(row[:, :, None], size=(1, target), mode=mode)[0, 0, 0].int().tolist()


def nearest_pairs(mode):
    """Sizes for which 32 bits choose another input than exact arithmetic, and as many where they do not."""
    odd, plain = [], []
    for size in range(3, 140):
        for target in range(size + 1, 2 * size + 3):
            got = indexes(mode, size, target)
            differs = got != [exact_index(mode, i, size, target) for i in range(target)]
            (odd if differs else plain).append((size, target, got))
    print(f"{mode}: {len(odd)} of {len(odd) + len(plain)} pairs of sizes differ from exact arithmetic")
    spread = [pairs[:: max(1, math.ceil(len(pairs) / PAIRS_WANTED))] for pairs in (odd, plain)]
    return [{"mode": mode, "from": size, "to": target, "sources": got} for pairs in spread for size, target, got in pairs]


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(7)
    arrays, offset, cases = [], 0, []

    def store(tensor):
        nonlocal offset
        arrays.append(np.ascontiguousarray(tensor.numpy(), dtype="<f4").ravel())
        offset += arrays[-1].size
        return offset - arrays[-1].size

    for shape, size in SHAPES:
        # Latents have a standard deviation of about one.
        given = torch.randn(shape, generator=generator)
        start = store(given)
        for mode, antialias in MODES:
            result = interpolate(given, size=size, mode=mode, antialias=antialias)
            cases.append({"filter": mode, "antialias": antialias, "shape": list(shape), "to": list(size),
                          "input": start, "output": store(result)})

    (HERE / "interpolate.f32").write_bytes(np.concatenate(arrays).tobytes())
    nearest = nearest_pairs("nearest") + nearest_pairs("nearest-exact")
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    more = ",\n".join("  " + json.dumps(pair, separators=(",", ":")) for pair in nearest)
    text = f'{{"torch": "{torch.__version__.split("+")[0]}",\n"cases": [\n{lines}\n],\n"nearest": [\n{more}\n]}}\n'
    (HERE / "interpolate.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
