"""Weights that both sides make for themselves: a seeded run of numbers, read from a place that a tensor's name says.

An independent statement of test/support/synthetic/random.ts and test/parity/seeded.ts.
"""

import math
from functools import cache

import numpy as np
import torch

# A prime, so that a repeated block never lines up with the rows of a matrix.
BLOCK = 262_139
MASK = 0xFFFFFFFF


@cache
def unit_block(seed):
    """BLOCK float32 numbers of deviation one: sums of four uniform numbers of xorshift32 (Marsaglia, 2003)."""
    state = ((seed * 0x9E3779B1) & MASK ^ 0x7F4A7C15) | 1
    uniform = np.empty(4 * BLOCK)
    for index in range(uniform.size):
        state ^= (state << 13) & MASK
        state ^= state >> 17
        state ^= (state << 5) & MASK
        uniform[index] = state / 2**32 - 0.5
    first, second, third, fourth = uniform.reshape(-1, 4).T
    # Added in the order of the other side; rounded to float32 once.
    return ((((first + second) + third) + fourth) * math.sqrt(3)).astype(np.float32)


@cache
def half_block(seed, power):
    return (unit_block(seed) * np.float32(2.0**power)).astype(np.float16)


def place_of(name):
    """FNV-1a of the name, 32 bit, as a place in the block."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = ((value ^ byte) * 0x01000193) & MASK
    return value % BLOCK


def run_of(block, name, count):
    start = place_of(name)
    return np.resize(np.roll(block, -start), count)


def seeded(seed, name, shape, gain=1.0):
    """Values of a matrix or convolution: deviation near gain / (2 sqrt(inputs)), a power of two."""
    fan_in = math.prod(shape[1:])
    power = math.floor(math.log2(0.5 * gain / math.sqrt(fan_in)) + 0.5)
    values = run_of(half_block(seed, power), name, math.prod(shape))
    return torch.from_numpy(values.reshape(shape).copy())


def gain_of(gains, name):
    """The last entry whose text is part of the name counts; 1 without."""
    found = [gain for part, gain in gains if part in name]
    return found[-1] if found else 1.0


def fill(seed, gains, name, shape):
    """Vectors are the identity of a norm or no bias; the rest is random."""
    if len(shape) == 1:
        return torch.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=torch.float16)
    return seeded(seed, name, tuple(shape), gain_of(gains, name))


def perturb(seed, amount, name, tensor):
    """Each value times 1 + amount * a number of deviation one, rounded to float16."""
    factors = 1 + amount * run_of(half_block(seed, 0), name, tensor.numel()).astype(np.float64)
    values = tensor.double().numpy().reshape(-1) * factors
    return torch.from_numpy(values.astype(np.float32).astype(np.float16).astype(np.float32).reshape(tensor.shape))
