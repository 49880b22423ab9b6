"""A hypernetwork in the format of AUTOMATIC1111's web UI (.pt): two small networks for the width 768.

In every cross-attention the conditioning x becomes x + net(x) before `to_k`, and x + another net(x) before `to_v`.
Layer structure [1, 1/16, 1] with ReLU: at width 768 the hidden layer is 48 wide. The narrow one has the same 48: the
first layer reads the first of each 8 equal inputs (zeros for the others), the last repeats its rows, the hidden layer
stays as it is. So lifting is exact.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..networks import TEXT_RATIO, TEXT_WIDTH
from .lora import spread

STRUCTURE = [1, 0.0625, 1]
WIDTH = TEXT_WIDTH * TEXT_RATIO
HIDDEN = int(WIDTH * STRUCTURE[1])


def make_net() -> nn.Sequential:
    """[…, 96] to […, 96]; zero at first."""
    net = nn.Sequential(nn.Linear(TEXT_WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, TEXT_WIDTH))
    nn.init.zeros_(net[2].weight)
    nn.init.zeros_(net[2].bias)
    return net


def attach(unet: nn.Module) -> tuple[tuple[nn.Sequential, nn.Sequential], list[torch.utils.hooks.RemovableHandle]]:
    """The pair (for keys, for values), put before every cross-attention's `to_k` and `to_v`."""
    device = next(unet.parameters()).device
    nets = make_net().to(device), make_net().to(device)
    hooks = []
    for name, layer in unet.named_modules():
        for ending, net in zip(("attn2.to_k", "attn2.to_v"), nets, strict=True):
            if name.endswith(ending):
                hooks.append(layer.register_forward_pre_hook(lambda _, args, n=net: (args[0] + n(args[0]),)))
    return nets, hooks


def lift(net: nn.Sequential) -> dict[str, Tensor]:
    """State with the web UI's names: `linear.0` and `linear.2`, around the activation."""
    state = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    return {
        "linear.0.weight": spread(state["0.weight"], TEXT_RATIO),
        "linear.0.bias": state["0.bias"].clone(),
        "linear.2.weight": state["2.weight"].repeat_interleave(TEXT_RATIO, 0),
        "linear.2.bias": state["2.bias"].repeat_interleave(TEXT_RATIO, 0),
    }


def save_hypernetwork(path: Path, nets: tuple[nn.Sequential, nn.Sequential], title: str, steps: int) -> None:
    """Tensors and plain values only, so that it loads with `weights_only`."""
    state = {
        WIDTH: tuple(lift(net) for net in nets),
        "step": steps,
        "name": title,
        "layer_structure": STRUCTURE,
        "activation_func": "relu",
        "is_layer_norm": False,
        "weight_initialization": "Normal",
        "use_dropout": False,
        "activate_output": False,
        "last_layer_dropout": False,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
    }
    torch.save(state, path)
