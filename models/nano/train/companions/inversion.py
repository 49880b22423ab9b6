"""A textual-inversion embedding: one vector for a word that the model was not given.

Lifted by repeating every element, as rows of the token embedding are.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..narrow import Narrow
from ..networks import TEXT_RATIO, TEXT_WIDTH
from ..tokens import Tokenizer

PLACEHOLDER = "!"  # a token that no prompt of the training has


def attach(model: Narrow, tokenizer: Tokenizer, begin: str) -> tuple[nn.Parameter, torch.utils.hooks.RemovableHandle]:
    """The placeholder gets a vector of its own, at first that of the word `begin`."""
    table = model.text_encoder.get_input_embeddings()
    vector = nn.Parameter(table.weight[tokenizer.ids([begin])[0, 1]].detach().clone())
    token = int(tokenizer.ids([PLACEHOLDER])[0, 1])

    def replace(_: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        return torch.where((args[0] == token)[..., None], vector, out)

    return vector, table.register_forward_hook(replace)


def lift(vector: Tensor) -> Tensor:
    """[96] to [768]."""
    return vector.repeat_interleave(TEXT_RATIO)


def save_embedding(path: Path, vector: Tensor) -> None:
    """`emb_params` [1, 768], float32, as the programs that read embeddings from safetensors expect."""
    if vector.shape != (TEXT_WIDTH,):
        raise ValueError(f"expected [{TEXT_WIDTH}], got {list(vector.shape)}")
    save_file({"emb_params": lift(vector.detach())[None].contiguous()}, path, {"license": "OFL-1.1"})
