"""Concepts: names of CLDR, their characters, and the prompts a person would write for them."""

import random
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from .sources import TRAIN, annotations_path

TEMPLATES = ("{}", "{}", "{}", "a {}", "the {}", "{} emoji", "a picture of a {}", "an emoji of a {}")
PAIR_TEMPLATES = ("{} and {}", "{} and {}", "a {} and a {}")  # left, right
SYNONYM_SHARE = 0.2


@dataclass(frozen=True)
class Concept:
    """One object. `synonyms` are keywords that no other concept has, e.g. "ladybug" for "lady beetle"."""

    name: str
    character: str
    synonyms: tuple[str, ...] = ()

    def prompt(self, rng: random.Random, size: str = "") -> str:
        """A random phrase for the concept; `size` is a word before its name."""
        word = self.name
        if self.synonyms and rng.random() < SYNONYM_SHARE:
            word = rng.choice(self.synonyms)
        return rng.choice(TEMPLATES).format(f"{size} {word}".strip())


def plain(name: str) -> str:
    """CLDR writes "heart-eyes" where the first model was trained on "heart eyes"."""
    return name.replace("-", " ")


def read_annotations(path: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return (character by plain short name, keywords by character)."""
    characters: dict[str, str] = {}
    keywords: dict[str, list[str]] = {}
    for entry in ElementTree.parse(path).iter("annotation"):
        text, character = entry.text or "", entry.get("cp", "")
        if entry.get("type") == "tts":
            characters[plain(text)] = character
        else:
            keywords[character] = [word.strip() for word in text.split("|")]
    return characters, keywords


def read_names(file: str) -> list[str]:
    """Lines of concepts.txt or unseen.txt."""
    return (TRAIN / file).read_text(encoding="utf-8").splitlines()


def unique_keywords(characters: list[str], keywords: dict[str, list[str]], names: list[str]) -> list[tuple[str, ...]]:
    """For each character its keywords that neither another character has nor another name contains as a word."""
    result = []
    for own, name in zip(characters, names, strict=True):
        taken = {word for other in characters if other != own for word in keywords.get(other, [])}
        taken |= {word for other in names if other != name for word in other.split()}
        result.append(tuple(word for word in keywords.get(own, []) if word not in taken and word != name))
    return result


def read_concepts(file: str = "concepts.txt") -> list[Concept]:
    """The concepts of a list, in its order."""
    characters, keywords = read_annotations(annotations_path())
    names = read_names(file)
    found = [characters[plain(name)] for name in names]
    synonyms = unique_keywords(found, keywords, names)
    return [Concept(*parts) for parts in zip(names, found, synonyms, strict=True)]


def measured_pairs(concepts: list[Concept], count: int = 24) -> list[tuple[int, int]]:
    """Indices of the two names of each pair that the measure draws; no training sees them, in either order.

    None where there are so few concepts that nothing would be left to train on.
    """
    if len(concepts) < 2 * count:
        return []
    step = max(1, len(concepts) // count)
    pairs = [(i, (i + len(concepts) // 2) % len(concepts)) for i in range(0, len(concepts), step)][:count]
    places = {concept.name: i for i, concept in enumerate(concepts)}
    example = ("cat face", "red apple")
    return [*pairs, (places[example[0]], places[example[1]])] if all(name in places for name in example) else pairs
