"""Values of ``train`` under one name: the habits of a library, or a purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from rlgpu.config.reading import read_file
from rlgpu.config.schema import Preset
from rlgpu.errors import UsageError, nearest, shown

NOT_FOR_GYM = {"init_at_random_ep_len": "Gymnasium's environments count their own steps"}
"""Keys that a preset does not set for environments of Gymnasium, and why."""
_FOLDER = Path(__file__).parent


def read_preset(name: str, read: Callable[[Path], dict[str, Any]] = read_file) -> dict[str, Any]:
    """Returns the values of a preset above those of its ``base``; none of ``none``.

    Args:
        name: The preset.
        read: Returns the values of a file.

    Raises:
        UsageError: There is no such preset.
    """
    names = get_args(Preset)
    if name not in names:
        raise UsageError(
            f"preset={shown(name)} is not a preset; allowed: {', '.join(names)}"
            f"{nearest(name, names)}",
            key="preset",
            value=name,
            allowed=names,
        )
    if name == "none":
        return {}
    values = read(_FOLDER / f"{name}.yaml")
    base = values.pop("base", "none")
    return {**read_preset(base, read), **values}
