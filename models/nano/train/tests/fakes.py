"""What the tests of the measure share: a few concepts, and a sampler that draws what it is told."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..concepts import Concept, read_concepts
from ..figures import originals
from ..narrow import Narrow, load_narrow
from ..sampling import Request
from ..sources import embedded_path

COUNT = 12


@cache
def model() -> Narrow:
    """The embedded model's networks: the measure looks through its autoencoder."""
    return load_narrow(embedded_path())


@cache
def concepts(count: int = COUNT) -> list[Concept]:
    """The first of the list."""
    return read_concepts()[:count]


@cache
def known(count: int = COUNT) -> Tensor:
    """[count, 3, 128, 128]: their pictures. Not to be written to."""
    return originals(concepts(count))


class FakeSampler:
    """Has the real autoencoder, and draws each request by a function."""

    steps = 12

    def __init__(self, draw: Callable[[Request], Tensor]) -> None:
        self.model: Any = model()
        self.autoencoder: Any = model().autoencoder
        self.draw = draw

    def pictures(self, requests: list[Request]) -> Tensor:
        """[n, 3, h, w]."""
        return torch.stack([self.draw(request) for request in requests])
