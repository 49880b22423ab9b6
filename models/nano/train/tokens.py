"""Prompts to CLIP's token ids, and to the few rows of the embedding that training needs."""

import importlib.util
from types import ModuleType

import torch
from torch import Tensor

from .concepts import TEMPLATES, Concept
from .sources import ROOT, engine_path

EXTRA_WORDS = ("and", "picture", "style", "with", "small")


def clip_ids() -> ModuleType:
    """The tokenizer of the parity tests; one statement of how CLIP's merges are read is enough."""
    path = ROOT / "test" / "parity" / "diffusers" / "clip_ids.py"
    spec = importlib.util.spec_from_file_location("clip_ids", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tokenizer:
    """CLIP's ids of a prompt, padded to 77, each prompt tokenized once."""

    def __init__(self) -> None:
        self.module = clip_ids()
        self.tokenizer = self.module.make_tokenizer(engine_path())
        self.known: dict[str, Tensor] = {}

    def ids(self, prompts: list[str]) -> Tensor:
        """[n, 77] int64."""
        for prompt in prompts:
            if prompt not in self.known:
                self.known[prompt] = self.module.prompt_ids(self.tokenizer, prompt)[0]
        return torch.stack([self.known[prompt] for prompt in prompts])


def vocabulary_of(tokenizer: Tokenizer, concepts: list[Concept], before: list[int] | None = None) -> list[int]:
    """Ids that occur in any prompt of the concepts, sorted; `before` are those a model has already."""
    words = [word for concept in concepts for word in (concept.name, *concept.synonyms)]
    prompts = ["", *EXTRA_WORDS, *(template.format("") for template in TEMPLATES), *words]
    found = {int(token) for row in tokenizer.ids(prompts) for token in row}
    return sorted(found | set(before or []))


def row_numbers(vocabulary: list[int], ids: Tensor) -> Tensor:
    """Positions of the ids in the sorted vocabulary; an id outside it (a bug) is an error."""
    table = torch.tensor(vocabulary, device=ids.device)
    rows = torch.searchsorted(table, ids)
    if not torch.equal(table[rows.clamp(max=len(vocabulary) - 1)], ids):
        raise KeyError("a prompt has a token outside the vocabulary")
    return rows
