"""The pairs that are measured are fixed, and no training draws them."""

import random
import unittest

import torch

from ..concepts import Concept, measured_pairs, read_concepts
from ..diffusion import Batches
from ..latents import Latents


def numbered(count: int) -> list[Concept]:
    return [Concept(f"thing {number}", "x") for number in range(count)]


class MeasuredPairs(unittest.TestCase):
    def test_are_of_two_names_and_all_different(self) -> None:
        pairs = measured_pairs(read_concepts())
        self.assertEqual(len({frozenset(pair) for pair in pairs}), len(pairs))
        self.assertTrue(all(len(set(pair)) == 2 for pair in pairs))

    def test_have_the_example_of_the_card_in_them(self) -> None:
        everyone = read_concepts()
        names = [(everyone[a].name, everyone[b].name) for a, b in measured_pairs(everyone)]
        self.assertIn(("cat face", "red apple"), names)

    def test_are_as_many_as_asked_for(self) -> None:
        for count in (48, 100, 210):
            self.assertEqual(len(measured_pairs(numbered(count))), 24)
        self.assertEqual(measured_pairs(numbered(47)), [])

    def test_are_never_trained(self) -> None:
        everyone = numbered(48)
        bank = torch.arange(48.0).view(48, 1, 1, 1, 1).expand(-1, 1, 4, 16, 8)
        empty = torch.zeros(48, 1, 4, 8, 8)
        batches = Batches(Latents(empty, empty, empty, empty, bank, bank), everyone, set())
        unseen, rng, drawn = {frozenset(pair) for pair in measured_pairs(everyone)}, random.Random(1), set()
        for _ in range(20_000):
            latent, prompt = batches._pair(rng)
            left, right = int(latent[0, 0, 0]), int(latent[0, 0, 15])
            drawn.add(frozenset((left, right)))
            self.assertTrue(prompt.index(everyone[left].name) < prompt.rindex(everyone[right].name), prompt)
        self.assertEqual(drawn & unseen, set())
        self.assertEqual(len(drawn), 48 * 47 // 2 - len(unseen))


if __name__ == "__main__":
    unittest.main()
