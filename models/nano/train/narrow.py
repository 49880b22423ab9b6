"""The narrow file: the three networks' weights in fp16 with names `unet.*`, `text_encoder.*`, `vae.*`.

The token embedding is stored as `….ids` (int32 [n]) and `….rows` (fp16 [n, 96]); every other row is zero.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from .networks import TAE_CHANNELS, TEXT_RATIO, UNET_RATIO, make_autoencoder, make_text_encoder, make_unet

TOKENS = "embeddings.token_embedding"


@dataclass
class Narrow:
    """The networks, and the ids of the tokens that have an embedding."""

    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    autoencoder: AutoencoderTiny
    token_ids: list[int]

    def to(self, device: torch.device) -> "Narrow":
        """Move the networks."""
        for network in (self.text_encoder, self.unet, self.autoencoder):
            network.to(device)
        return self


def text_state(encoder: CLIPTextModel) -> dict[str, Tensor]:
    """State without the prefix `text_model.`, which some versions of transformers have."""
    return {name.removeprefix("text_model."): value for name, value in encoder.state_dict().items()}


def load_text_state(encoder: CLIPTextModel, state: dict[str, Tensor]) -> None:
    """The inverse of text_state."""
    encoder.load_state_dict({name: state[name.removeprefix("text_model.")] for name in encoder.state_dict()})


def read_narrow(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return (float32 tensors and int64 ids by name, metadata)."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    return {
        name: value.float() if value.is_floating_point() else value.long() for name, value in tensors.items()
    }, metadata


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def load_narrow(path: Path) -> Narrow:
    """Networks in float32 with the values of the file."""
    tensors, _ = read_narrow(path)
    text = under(tensors, "text_encoder.")
    ids, rows = text.pop(f"{TOKENS}.ids"), text.pop(f"{TOKENS}.rows")
    encoder = make_text_encoder()
    table = torch.zeros_like(text_state(encoder)[f"{TOKENS}.weight"])
    table[ids] = rows
    load_text_state(encoder, {**text, f"{TOKENS}.weight": table})
    unet, autoencoder = make_unet(), make_autoencoder()
    unet.load_state_dict(under(tensors, "unet."))
    autoencoder.load_state_dict(under(tensors, "vae."))
    return Narrow(encoder.eval(), unet.eval(), autoencoder.eval(), ids.tolist())


def half_state(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The module's tensors in fp16 under a prefix."""
    return {prefix + name: value.detach().cpu().half().contiguous() for name, value in module.state_dict().items()}


def save_narrow(path: Path, model: Narrow, concepts: list[str]) -> None:
    """Write the file at once: to a temporary name, then renamed."""
    text = {
        f"text_encoder.{name}": value.detach().cpu().half() for name, value in text_state(model.text_encoder).items()
    }
    table = text.pop(f"text_encoder.{TOKENS}.weight")
    text[f"text_encoder.{TOKENS}.ids"] = torch.tensor(model.token_ids, dtype=torch.int32)
    text[f"text_encoder.{TOKENS}.rows"] = table[model.token_ids].contiguous()
    metadata = {
        "data": "Noto Color Emoji (OFL-1.1), CLDR short names",
        "format": "narrow-sd1",
        "unet_ratio": str(UNET_RATIO),
        "text_ratio": str(TEXT_RATIO),
        "tae_channels": str(TAE_CHANNELS),
        "concepts": json.dumps(concepts),
        "license": "OFL-1.1",
    }
    tensors = text | half_state(model.unet, "unet.") | half_state(model.autoencoder, "vae.")
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata)
    os.replace(temporary, path)
