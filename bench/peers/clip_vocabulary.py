"""CLIP's tokenizer without a download: the merges that open_clip ships, the arithmetic of transformers."""

import gzip
from importlib.util import find_spec
from pathlib import Path

from transformers import CLIPTokenizer

from protocol import Unsupported

LENGTH = 77


def make_tokenizer():
    # Found and not imported: only its file is wanted, and importing it brings torchvision.
    spec = find_spec("open_clip")
    if spec is None:
        raise Unsupported("open_clip is not installed: bring the peer with bench/peers/bring.mjs")
    path = Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    merges = [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]
    printable = [*range(ord("!"), ord("~") + 1), *range(161, 173), *range(174, 256)]
    symbols = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *("".join(pair) for pair in merges),
             "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    if vocabulary["<|endoftext|>"] != 49407:
        raise ValueError(f"{path.name} has {len(merges)} merges, expected 48894")
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def prompt_ids(tokenizer, prompt):
    if len(tokenizer(prompt).input_ids) > LENGTH:
        raise Unsupported("the prompt has more than 75 tokens")
    return tokenizer(prompt, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
