"""CLIP's tokenizer without the hub: merges from the engine source, arithmetic from transformers.

The merges are read at run time and never written: third-party data stays out of the repository.
"""

import re

from transformers import CLIPTokenizer

LENGTH = 77


def read_merges(engine_source):
    """Merges of CLIP's byte-pair encoding, best first: lines `left right` after a version line."""
    path = engine_source / "src" / "tokenizers" / "vocab" / "clip_t5.hpp"
    digits = []
    with open(path, encoding="ascii") as file:
        start = file.readline()
        if "clip_merges_utf8_c_str" not in start:
            raise ValueError(f"{path} does not begin with clip_merges_utf8_c_str")
        for line in file:
            if line.startswith("}"):
                break
            digits.append(line)
    text = bytes(int(byte, 16) for byte in re.findall(r"0x[0-9a-fA-F]+", "".join(digits))).decode("utf-8")
    return [tuple(line.split(" ")) for line in text.split("\n")[1:] if line]


def byte_symbols():
    """The 256 printable stand-ins for bytes, in the order in which CLIP numbers them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(161, 173), *range(174, 256)]
    others = [chr(256 + index) for index in range(256 - len(printable))]
    return [chr(byte) for byte in printable] + others


def make_tokenizer(engine_source):
    merges = read_merges(engine_source)
    symbols = byte_symbols()
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *("".join(pair) for pair in merges),
             "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    if vocabulary["<|endoftext|>"] != 49407:
        raise ValueError(f"expected 48894 merges, found {len(merges)}")
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def prompt_ids(tokenizer, prompt):
    return tokenizer(prompt, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
