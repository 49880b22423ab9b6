"""Where the third-party data lies: Debian packages (font, CLDR) and the engine's source (CLIP's merges).

None of it is committed. `NANO_FONT`, `NANO_CLDR` and `SDCPP_SOURCE_DIR` name other places.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NANO = ROOT / "models" / "nano"
TRAIN = NANO / "train"


def embedded_path() -> Path:
    """The narrow weights of the embedded model: the one that the package pins."""
    pins = (ROOT / "lib" / "model" / "embedded" / "pins.ts").read_text(encoding="utf-8")
    name = pins.split("embeddedName = '")[1].split("'")[0]
    return NANO / f"{name}.safetensors"


def digest_of(parts: Iterable[bytes]) -> str:
    """Short SHA-256 of bytes after each other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def packaged_file(package: str, ending: str) -> Path:
    """The file of an installed Debian package whose path ends so."""
    listing = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
    for line in listing.stdout.splitlines():
        if line.endswith(ending):
            return Path(line)
    raise FileNotFoundError(f"no file *{ending}: apt-get install {package}")


def font_path() -> Path:
    """Noto Color Emoji (OFL-1.1), a bitmap font with one size, 109."""
    named = os.environ.get("NANO_FONT")
    return Path(named) if named else packaged_file("fonts-noto-color-emoji", "/NotoColorEmoji.ttf")


def annotations_path() -> Path:
    """CLDR's English short names and keywords (Unicode licence)."""
    named = os.environ.get("NANO_CLDR")
    return Path(named) if named else packaged_file("unicode-cldr-core", "/common/annotations/en.xml")


def engine_path() -> Path:
    """Source of the engine, as scripts/engine-source.mjs brings it; it holds CLIP's merges."""
    named = os.environ.get("SDCPP_SOURCE_DIR")
    return Path(named) if named else ROOT / "native" / "vendor" / "stable-diffusion.cpp"
