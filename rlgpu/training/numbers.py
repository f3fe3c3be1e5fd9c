"""The numbers that an iteration reports, and their packing into one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
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
    task: Mapping[str, Number] = MappingProxyType({})
    """Means over environments and steps of what the task reports, by name."""

    def by_name(self) -> dict[str, Number]:
        """Returns all numbers by their names."""
        parts = (part._asdict() for part in (self.episodes, self.worlds, self.update))
        return {name: x for part in (*parts, self.task) for name, x in part.items()}

    @staticmethod
    def pack(numbers: IterationNumbers[Tensor]) -> Tensor:
        """Returns all numbers as one tensor, shape [K], float64."""
        return torch.stack([number.double() for number in numbers.by_name().values()])

    @staticmethod
    def unpack(packed: Sequence[float], names: Iterable[str] = ()) -> IterationNumbers[float]:
        """Returns the numbers from values packed by ``pack``.

        Args:
            packed: The values.
            names: Names of what the task reports.
        """
        values = iter(packed)
        return IterationNumbers(
            EpisodeMeans(*islice(values, len(EpisodeMeans._fields))),
            WorldCounts(*islice(values, len(WorldCounts._fields))),
            UpdateMetrics(*islice(values, len(UpdateMetrics._fields))),
            dict(zip(names, values, strict=True)),
        )
