"""The figures of the measure, of pictures whose right answer is known."""

import random
import unittest
from unittest import mock

import torch
from torch import Tensor

from .. import limits
from ..figures import hires_figures, img2img_figures, missed, originals, pair_figures, seed_difference, top1
from ..latents import decode
from ..pictures import draw_emoji, place, to_tensor
from ..sampling import Request
from .fakes import COUNT, FakeSampler, concepts, known, model

NUMBERS = torch.arange(COUNT)
PAIRED = 48  # the fewest concepts that the measure takes pairs of


class Top1(unittest.TestCase):
    def test_originals_are_all_right(self) -> None:
        figures = top1(model(), known(), known(), NUMBERS)
        self.assertEqual(set(figures), {"latent", "hash", "both", "latentUncentred", "hashUncentred", "bothUncentred"})
        self.assertEqual(set(figures.values()), {1.0})
        self.assertEqual(missed(model(), known(), known(), NUMBERS, concepts()), {"latent": {}, "hash": {}})

    def test_pictures_of_others_are_all_wrong_and_named(self) -> None:
        drawn = known().roll(1, 0)
        self.assertEqual(set(top1(model(), drawn, known(), NUMBERS).values()), {0.0})
        names = [concept.name for concept in concepts()]
        expected = {name: [other] for name, other in zip(names, names[-1:] + names[:-1], strict=True)}
        self.assertEqual(missed(model(), drawn, known(), NUMBERS, concepts()), {"latent": expected, "hash": expected})

    def test_both_counts_pictures_that_are_right_by_either_way(self) -> None:
        wrong_by_hash, wrong_by_latent = NUMBERS.clone(), NUMBERS.clone()
        wrong_by_hash[:3] = COUNT - 1
        wrong_by_latent[2:5] = COUNT - 1
        with (
            mock.patch("train.figures.nearest_by_hash", return_value=wrong_by_hash),
            mock.patch("train.figures.nearest_by_latent", return_value=wrong_by_latent),
        ):
            figures = top1(model(), known(), known(), NUMBERS)
        self.assertAlmostEqual(figures["hash"], 1 - 3 / COUNT, places=6)
        self.assertAlmostEqual(figures["latent"], 1 - 3 / COUNT, places=6)
        self.assertAlmostEqual(figures["both"], 1 - 5 / COUNT, places=6)


class Limits(unittest.TestCase):
    def test_views_that_are_not_moved_are_the_originals(self) -> None:
        with mock.patch("train.limits.SCALE", (1, 1)), mock.patch("train.limits.SHIFT", 0):
            still = limits.moved(concepts(), random.Random(1)).unflatten(0, (COUNT, -1))
        moved = limits.moved(concepts(), random.Random(1)).unflatten(0, (COUNT, -1))
        self.assertEqual(still.shape[1], limits.VIEWS)
        self.assertTrue(torch.equal(still, known()[:, None].expand_as(still)))
        self.assertTrue((moved != still).flatten(2).any(-1).all())

    def test_of_few_concepts_all_are_told_apart(self) -> None:
        some = concepts()[:4]
        figures = limits.limits(model(), some)
        self.assertEqual((figures["moved"]["latent"], figures["decoded"]["both"]), (1, 1))
        with mock.patch("train.limits.originals", return_value=known()[[1, 0, 3, 2]]):
            self.assertEqual(limits.limits(model(), some)["moved"]["latent"], 0)


class Seeds(unittest.TestCase):
    def test_equal_pictures_differ_by_nothing(self) -> None:
        same = known()[:, None].expand(-1, 4, -1, -1, -1)
        other = same.clone()
        other[:, 0] = other[:, 0].flip(-1)
        self.assertEqual(seed_difference(same), 60)
        self.assertLess(seed_difference(other), 60)


class Img2img(unittest.TestCase):
    def test_overlap_is_of_what_is_kept(self) -> None:
        def keeps(request: Request) -> Tensor:
            if request.start is None:
                return torch.ones(3, 128, 128)
            return decode(model().autoencoder, request.start[None])[0]

        figures = img2img_figures(FakeSampler(keeps), concepts())
        self.assertGreater(figures["overlap"], 0.9)
        self.assertEqual(figures["overlapFromNoise"], 0)


class Hires(unittest.TestCase):
    def test_originals_are_right_and_have_their_own_detail(self) -> None:
        some = concepts()[:4]
        large = {concept.name: picture for concept, picture in zip(some, originals(some, 256), strict=True)}
        figures = hires_figures(FakeSampler(lambda request: large[request.prompt]), some, known()[:4])
        for strength in ("strength0.3", "strength0.5"):
            self.assertEqual(figures[strength]["both"], 1)
            self.assertAlmostEqual(figures[strength]["detail"], 1, places=6)


class Pairs(unittest.TestCase):
    def figures(self, first: bool, swapped: bool = False) -> dict[str, float | int]:
        """Of pictures that show both names, or nothing of either; the first name at the left, or at the right."""
        characters = {concept.name: concept.character for concept in concepts(PAIRED)}

        def draw(request: Request) -> Tensor:
            if not first:
                return torch.ones(3, 128, 128)
            names = request.prompt.split(" and ")
            sides = [to_tensor(place(draw_emoji(characters[name]), width=64)) for name in names]
            return torch.cat(sides[::-1] if swapped else sides, -1)

        with mock.patch("train.figures.PAIR_SEEDS", (1,)):  # every seed draws the same here
            return pair_figures(FakeSampler(draw), concepts(PAIRED), known(PAIRED))

    def test_both_names_each_in_its_half(self) -> None:
        figures = self.figures(True)
        self.assertEqual((figures["one"], figures["both"], figures["placed"]), (1, 1, 1))
        self.assertLess(figures["chance"], 0.2)

    def test_both_names_in_the_other_halves(self) -> None:
        figures = self.figures(True, swapped=True)
        self.assertEqual((figures["one"], figures["both"], figures["placed"]), (1, 1, 0))

    def test_nothing_is_nothing(self) -> None:
        figures = self.figures(False)
        self.assertEqual((figures["both"], figures["placed"]), (0, 0))

    def test_few_concepts_have_none(self) -> None:
        self.assertEqual(pair_figures(FakeSampler(lambda _: torch.ones(3, 128, 128)), concepts(), known()), {})


if __name__ == "__main__":
    unittest.main()
