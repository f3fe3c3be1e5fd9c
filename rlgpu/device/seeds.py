"""Seeds of random generators, derived so that different seeds share no random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WORD = 2**32


def generator_seed(seed: int) -> int:
    """Returns the seed to give a generator of torch or NumPy, in [0, 2**32).

    Torch's generator on the CPU ignores all but the lowest 32 bits, so that 2**32 + 1 would repeat
    seed 1; NumPy's global one refuses larger seeds. Seeds below 2**32 are returned as they are.

    Args:
        seed: A seed of any size, not negative.
    """
    return seed if seed < _WORD else derived_seed(seed)


def derived_seed(seed: int | Sequence[int], *purpose: int) -> int:
    """Returns a seed in [0, 2**32) that is independent of those of other seeds and purposes.

    ``seed + 1`` would be the next run's seed.

    Args:
        seed: A seed of any size, or several that together are one.
        purpose: Indices that tell apart what is seeded.

    Source: numpy.random.SeedSequence.
    """
    return int(np.random.SeedSequence(seed, spawn_key=purpose).generate_state(1)[0])


def environment_seeds(seed: int, count: int) -> list[int]:
    """Returns a seed for each of several environments, in [0, 2**31): simulators take an ``int``.

    Adjacent seeds share none: ``seed + i`` would give all but one of the next run's environments.

    Args:
        seed: A seed of any size, not negative.
        count: Number of environments.
    """
    return [int(x) for x in np.random.SeedSequence(seed).generate_state(count) >> 1]
