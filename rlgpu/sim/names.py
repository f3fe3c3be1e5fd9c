"""Names of joints and bodies, in the order of the engine's tensors."""

from __future__ import annotations

from typing import SupportsIndex

from rlgpu.errors import UnknownName


class Names(tuple[str, ...]):
    """A tuple of names; one that is not among them is refused with those that are."""

    def index(
        self, name: str, start: SupportsIndex = 0, stop: SupportsIndex | None = None, /
    ) -> int:
        """Returns the position of a name.

        Raises:
            UnknownName: It is not among them.
        """
        end = len(self) if stop is None else stop
        try:
            return super().index(name, start, end)
        except ValueError:
            raise UnknownName(name, self) from None
