"""A style LoRA in kohya's format, on every linear layer of the UNet's transformer blocks.

Narrow: y + up(down(x)) with down [rank, in], up [out, rank]. Lifted as the layers are: of each r equal inputs `down`
reads the first and has zeros for the others; `up` repeats its rows. Then up @ down is the lifted product exactly, since
spreading columns and repeating rows are themselves matrix products on either side. `to_q` is scaled by 1/sqrt(r), as
its layer is; the only rounding is that of fp16.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..networks import TEXT_RATIO, UNET_RATIO

RANK = 4
LINEAR = re.compile(r"(down|up)_blocks\.(\d)\.attentions\.(\d)\.(transformer_blocks\.0\..+)")


@dataclass
class Adapter:
    """The pair of one layer; the layer's diffusers name is its key elsewhere."""

    down: nn.Parameter
    up: nn.Parameter


def attach(unet: nn.Module, rank: int = RANK) -> tuple[dict[str, Adapter], list[torch.utils.hooks.RemovableHandle]]:
    """Put an adapter that does nothing yet on every linear layer of the transformer blocks."""
    adapters, hooks = {}, []
    for name, layer in unet.named_modules():
        if not isinstance(layer, nn.Linear) or not LINEAR.fullmatch(name):
            continue
        device = layer.weight.device
        down = nn.Parameter((torch.randn(rank, layer.in_features) / layer.in_features**0.5).to(device))
        adapter = Adapter(down, nn.Parameter(torch.zeros(layer.out_features, rank, device=device)))
        adapters[name] = adapter
        hooks.append(layer.register_forward_hook(lambda _, args, out, a=adapter: out + args[0] @ a.down.T @ a.up.T))
    return adapters, hooks


def kohya_name(diffusers: str) -> str:
    """`lora_unet_` and the LDM name, which is the one that a UNet without a middle block shares with full SD1."""
    match = LINEAR.fullmatch(diffusers)
    if match is None:
        raise ValueError(f"no linear layer of a transformer block: {diffusers}")
    side, level, layer, rest = match.groups()
    block = (
        f"input_blocks_{3 * int(level) + int(layer) + 1}"
        if side == "down"
        else f"output_blocks_{3 * int(level) + int(layer)}"
    )
    return f"lora_unet_{block}_1_{rest.replace('.', '_')}"


def spread(tensor: Tensor, ratio: int) -> Tensor:
    """[n, in] to [n, in * ratio]: column i at i * ratio, zeros between."""
    wide = tensor.new_zeros(len(tensor), tensor.shape[1] * ratio)
    wide[:, ::ratio] = tensor
    return wide


def lift(name: str, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Down and up of the standard width, for the layer of that diffusers name."""
    from_text = name.endswith(("attn2.to_k", "attn2.to_v"))
    scale = 1 / math.sqrt(UNET_RATIO) if name.endswith("to_q") else 1.0
    return spread(down, TEXT_RATIO if from_text else UNET_RATIO), up.repeat_interleave(UNET_RATIO, 0) * scale


def save_lora(path: Path, adapters: dict[str, Adapter], title: str) -> None:
    """The lifted file: `…lora_down.weight`, `…lora_up.weight`, `…alpha` (= rank, so that the scale is 1), fp16."""
    tensors = {}
    for name, adapter in adapters.items():
        down, up = lift(name, adapter.down.detach().cpu(), adapter.up.detach().cpu())
        base = kohya_name(name)
        tensors[f"{base}.lora_down.weight"] = down.half().contiguous()
        tensors[f"{base}.lora_up.weight"] = up.half().contiguous()
        tensors[f"{base}.alpha"] = torch.tensor(float(len(down))).half()
    rank = str(len(next(iter(adapters.values())).down))
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
        "ss_base_model_version": "sd_v1",
        "ss_output_name": title,
        "license": "OFL-1.1",
    }
    save_file(tensors, path, metadata)
