"""The layout of an observation: names, widths and positions of its columns."""

from __future__ import annotations


class Columns:
    """The columns of an observation, in order, looked up by name.

    ``Columns(height=1, lin_vel_b=3)["lin_vel_b"]`` is ``slice(1, 4)``; a single column is an int,
    so that ``observations[:, columns["height"]]`` has shape [N].
    """

    def __init__(self, **widths: int) -> None:
        """Lays out the columns one after the other.

        Args:
            **widths: Number of columns for each name.
        """
        self._places: dict[str, int | slice] = {}
        start = 0
        for name, width in widths.items():
            self._places[name] = start if width == 1 else slice(start, start + width)
            start += width
        self.width = start
        """Total number of columns, O."""

    def __getitem__(self, name: str) -> int | slice:
        """Returns the index or slice of a name's columns."""
        return self._places[name]

    def parts(self) -> dict[str, int]:
        """Returns the number of columns of each name, in order."""
        return {
            name: 1 if isinstance(place, int) else place.stop - place.start
            for name, place in self._places.items()
        }
