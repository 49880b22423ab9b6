#!/usr/bin/env python3
"""Write what Pillow's Image.resize gives, for test/unit/hires/pixel-resize.test.ts. See README.md."""

import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

HERE = Path(__file__).resolve().parent
FILTERS = ("lanczos", "bicubic", "nearest")
# Width and height, then those to come: doubled, half more, odd, non-uniform, smaller, one axis unchanged, one pixel.
SIZES = [((8, 6), (16, 12)), ((10, 8), (15, 12)), ((7, 9), (16, 13)), ((5, 12), (21, 14)), ((19, 14), (7, 9)),
         ((9, 6), (9, 11)), ((1, 1), (3, 2)), ((29, 2), (47, 3))]


def main():
    random = np.random.default_rng(5)
    parts, offset, cases = [], 0, []

    def store(pixels):
        nonlocal offset
        parts.append(pixels.tobytes())
        offset += pixels.size
        return offset - pixels.size

    for (width, height), size in SIZES:
        # Noise reaches the whole range, so filters overshoot it and are clipped; a quarter is flat.
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels[: height // 2, : width // 2] = 200
        start = store(pixels)
        for name in FILTERS:
            made = Image.fromarray(pixels).resize(size, Image.Resampling[name.upper()])
            cases.append({"filter": name, "from": [width, height], "to": list(size), "input": start,
                          "output": store(np.asarray(made))})

    (HERE / "pillow.u8").write_bytes(b"".join(parts))
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (HERE / "pillow.json").write_text(f'{{"pillow": "{PIL.__version__}",\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
