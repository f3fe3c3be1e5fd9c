"""The table of Isaac Gym's names and what each does here: ``--coverage``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import NamedTuple

from rlgpu.isaacgym.api import gymapi, gymtorch, gymutil, terrain_utils, torch_utils
from rlgpu.isaacgym.api.gym import Gym
from rlgpu.isaacgym.calls.unsupported import REASONS


class Row(NamedTuple):
    """One name."""

    name: str
    state: str
    """``works``, ``does nothing`` or ``raises``."""
    remark: str


def calls() -> list[Row]:
    """Returns all calls of ``gym``, in alphabetical order."""
    return sorted([*_working(), *(Row(name, "raises", why) for name, why in REASONS.items())])


def _working() -> Iterator[Row]:
    for name in dir(Gym):
        if name.startswith("_"):
            continue
        call = getattr(Gym, name)
        said = " ".join((inspect.getdoc(call) or "").split("\n\n")[0].split())
        yield Row(name, "does nothing" if getattr(call, "is_idle", False) else "works", said)


def table() -> str:
    """Returns the whole table as text."""
    rows = calls()
    width = max(len(row.name) for row in rows)
    lines = [f"{row.name:{width}}  {row.state:12}  {row.remark}" for row in rows]
    count = {
        state: sum(row.state == state for row in rows)
        for state in ("works", "does nothing", "raises")
    }
    said = ", ".join(f"{number} {state}" for state, number in count.items())
    modules = (gymapi, gymtorch, gymutil, torch_utils, terrain_utils)
    names = [f"{m.__name__.rpartition('.')[2]}: {len(_public(m))} names" for m in modules]
    return "\n".join([*lines, "", f"{len(rows)} calls: {said}", *names])


def _public(module: object) -> list[str]:
    return [name for name in getattr(module, "__all__", dir(module)) if not name.startswith("_")]
