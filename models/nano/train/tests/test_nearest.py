"""Nearest pictures: an original is nearest to itself, in latent space and by hash; the distances are what they say."""

import math
import random
import unittest

import torch
from torch import Tensor

from ..latents import encode
from ..nearest import centred, nearest_by_hash, nearest_by_latent, overlap, perceptual_hash, psnr
from ..pictures import anywhere, draw_emoji, to_tensor
from .fakes import COUNT, concepts, known, model

NUMBERS = torch.arange(COUNT)


def latents(pictures: Tensor) -> Tensor:
    return encode(model().autoencoder, list(pictures))


class Nearest(unittest.TestCase):
    def test_an_original_is_nearest_to_itself(self) -> None:
        self.assertTrue(torch.equal(nearest_by_hash(known(), known()), NUMBERS))
        self.assertTrue(torch.equal(nearest_by_latent(latents(known()), latents(known())), NUMBERS))

    def test_in_a_shuffled_set_it_is_nearest_to_where_it_went(self) -> None:
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
        self.assertFalse(torch.equal(order, NUMBERS))
        self.assertTrue(torch.equal(order[nearest_by_hash(known(), known()[order])], NUMBERS))
        self.assertTrue(torch.equal(order[nearest_by_latent(latents(known()), latents(known()[order]))], NUMBERS))

    def test_place_and_size_do_not_count_once_centred(self) -> None:
        rng = random.Random(1)
        moved = torch.stack([to_tensor(anywhere(draw_emoji(c.character), rng)) for c in concepts()])
        found = nearest_by_latent(latents(centred(moved)), latents(centred(known())))
        plain = nearest_by_latent(latents(moved), latents(known()))
        self.assertTrue(torch.equal(found, NUMBERS))
        self.assertFalse(torch.equal(plain, NUMBERS))

    def test_a_white_picture_stays_as_it_is(self) -> None:
        white = torch.ones(1, 3, 64, 64)
        self.assertTrue(torch.equal(centred(white), white))


class Hash(unittest.TestCase):
    def test_has_192_bits(self) -> None:
        bits = perceptual_hash(known())
        self.assertEqual(list(bits.shape), [COUNT, 3 * 64])
        self.assertTrue(torch.equal(bits.abs(), torch.ones_like(bits)))

    def test_does_not_see_contrast_or_size(self) -> None:
        half = torch.nn.functional.interpolate(known(), size=(64, 64), mode="area")
        bits = perceptual_hash(known())
        self.assertGreater((perceptual_hash(0.5 * known()) == bits).float().mean().item(), 0.99)
        self.assertGreater((perceptual_hash(half) == bits).float().mean().item(), 0.99)

    def test_tells_colours_of_one_luma_apart(self) -> None:
        # Red and green of the same luma in a ground of that luma: the luma's part of the hash has nothing to tell.
        ground = torch.full((2, 3, 32, 32), -0.2)
        for picture, colour in zip(ground, ((0.8, -0.7093, -0.2), (-0.8, 0.1056, -0.2)), strict=True):
            picture[:, 8:24, 4:20] = torch.tensor(colour)[:, None, None]
        red, green = perceptual_hash(ground)
        self.assertLess((red[128:] == green[128:]).float().mean().item(), 0.5)


class Distances(unittest.TestCase):
    def test_psnr_of_a_known_error(self) -> None:
        one = torch.zeros(2, 3, 8, 8)
        other = one + torch.tensor([0.1, 0.5]).view(2, 1, 1, 1)
        for value, error in zip(psnr(one, other).tolist(), (0.1, 0.5), strict=True):
            self.assertAlmostEqual(value, 20 * math.log10(2 / error), places=3)

    def test_overlap_of_known_shapes(self) -> None:
        one, other = torch.ones(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
        one[..., :4] = -1  # columns 0 to 3
        other[..., 2:6] = -1  # columns 2 to 5
        self.assertAlmostEqual(overlap(one, other).item(), 2 / 6, places=6)
        self.assertEqual(overlap(one, one).item(), 1)


if __name__ == "__main__":
    unittest.main()
