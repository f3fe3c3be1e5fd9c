"""The numbers that an iteration reports, and their packing into one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from rlgpu.envs import WorldCounts
from rlgpu.learner import UpdateMetrics
from rlgpu.training.episodes import EpisodeMeans

Number = TypeVar("Number")


class IterationNumbers(NamedTuple, Generic[Number]):
    """All numbers of an iteration that are computed on the device.

    Packing follows the fields of the parts, so adding a number to a part needs no change here.
    """

    episodes: EpisodeMeans[Number]
    worlds: WorldCounts[Number]
    update: UpdateMetrics[Number]

    @staticmethod
    def pack(numbers: IterationNumbers[Tensor]) -> Tensor:
        """Returns all numbers as one tensor, shape [K], float64."""
        flat = [number.double() for part in numbers for number in part]
        return torch.stack(flat)

    @staticmethod
    def unpack(packed: Sequence[float]) -> IterationNumbers[float]:
        """Returns the numbers from values packed by ``pack``."""
        values = iter(packed)
        return IterationNumbers(
            EpisodeMeans(*islice(values, len(EpisodeMeans._fields))),
            WorldCounts(*islice(values, len(WorldCounts._fields))),
            UpdateMetrics(*islice(values, len(UpdateMetrics._fields))),
        )
