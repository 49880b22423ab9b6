"""An interrupted training ends with the weights of an uninterrupted one. Needs the font, CLDR and CLIP's merges."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..autoencoder import train_autoencoder
from ..config import Config
from ..diffusion import train_diffusion
from ..narrow import Narrow
from ..progress import Log


def run(folder: Path, stops: tuple[int, ...]) -> tuple[nn.Module, Narrow]:
    """Two concepts, four steps of each stage, in as many runs as there are stops."""
    config = Config(state=folder, init=None, autoencoder_batch=2, diffusion_batch=2, save_every=1, limit=2)
    log = Log(folder / "losses.jsonl")
    autoencoder, model = None, None
    for stop in stops:
        config = replace(config, stop_after=stop)
        autoencoder = train_autoencoder(config, log)
    for stop in stops:
        model = train_diffusion(replace(config, stop_after=stop), autoencoder, log)
    return autoencoder, model


class Resume(unittest.TestCase):
    def test_interrupted_is_uninterrupted(self) -> None:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            whole, parts = run(Path(one), (4,)), run(Path(two), (2, 4))
        self.assert_same(whole[0], parts[0])
        self.assert_same(whole[1].unet, parts[1].unet)
        self.assert_same(whole[1].text_encoder, parts[1].text_encoder)

    def assert_same(self, one: nn.Module, two: nn.Module) -> None:
        for (name, first), second in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
            self.assertTrue(torch.equal(first, second), name)


if __name__ == "__main__":
    unittest.main()
