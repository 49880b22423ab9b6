"""A textual-inversion embedding: vectors for a word that the model was not given.

Lifted by repeating every element, as rows of the token embedding are.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..narrow import Narrow
from ..networks import TEXT_RATIO, TEXT_WIDTH
from ..tokens import Tokenizer

WORDS = ("!", "#", "$", "%")  # tokens that no prompt of the training has; each stands for a vector
PLACEHOLDER = " ".join(WORDS)


def attach(model: Narrow, tokenizer: Tokenizer, begin: str) -> tuple[nn.Parameter, torch.utils.hooks.RemovableHandle]:
    """[vectors, 96]: the placeholders get vectors of their own, at first near that of the word `begin`."""
    table = model.text_encoder.get_input_embeddings()
    first = table.weight[tokenizer.ids([begin])[0, 1]].detach()
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(len(WORDS), len(first), generator=generator).to(first.device) * first.std() / 4
    vectors = nn.Parameter(first + spread)
    tokens = tokenizer.ids([PLACEHOLDER])[0, 1 : len(WORDS) + 1].tolist()
    if len(set(tokens)) != len(WORDS):
        raise ValueError(f"{PLACEHOLDER!r} is not one token a word")

    def replace(_: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        for token, vector in zip(tokens, vectors, strict=True):
            out = torch.where((args[0] == token)[..., None], vector, out)
        return out

    return vectors, table.register_forward_hook(replace)


def lift(vectors: Tensor) -> Tensor:
    """[n, 96] to [n, 768]."""
    return vectors.repeat_interleave(TEXT_RATIO, -1)


def save_embedding(path: Path, vectors: Tensor) -> None:
    """`emb_params` [n, 768], float32, as the programs that read embeddings from safetensors expect."""
    if vectors.dim() != 2 or vectors.shape[1] != TEXT_WIDTH:
        raise ValueError(f"expected [n, {TEXT_WIDTH}], got {list(vectors.shape)}")
    save_file({"emb_params": lift(vectors.detach().cpu()).contiguous()}, path, {"license": "OFL-1.1"})
