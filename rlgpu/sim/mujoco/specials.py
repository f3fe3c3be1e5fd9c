"""What of MuJoCo's models only MuJoCo itself simulates, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import mujoco
import numpy as np

_ELEMENTS = {
    "neq": "equality constraints",
    "ntendon": "tendons",
    "nflex": "flexible bodies",
    "nmocap": "mocap bodies",
    "npair": "explicit contact pairs",
    "nplugin": "plugins",
    "na": "actuators with internal state",
    "nhistory": "actuators or sensors with delay",
    "nplastic": "plastic joints",
}
_DISABLE, _ENABLE = mujoco.mjtDisableBit, mujoco.mjtEnableBit
# Flags that change speed or diagnostics, not the motion; AUTORESET is about motions that diverged,
# which this package restarts itself.
_HARMLESS_DISABLED = (
    _DISABLE.mjDSBL_WARMSTART
    | _DISABLE.mjDSBL_SENSOR
    | _DISABLE.mjDSBL_MIDPHASE
    | _DISABLE.mjDSBL_EULERDAMP
    | _DISABLE.mjDSBL_NATIVECCD
    | _DISABLE.mjDSBL_ISLAND
    | _DISABLE.mjDSBL_MULTICCD
    | _DISABLE.mjDSBL_AUTORESET
)
SIMPLY_DISABLED = (
    _DISABLE.mjDSBL_CONSTRAINT
    | _DISABLE.mjDSBL_EQUALITY
    | _DISABLE.mjDSBL_FRICTIONLOSS
    | _DISABLE.mjDSBL_LIMIT
    | _DISABLE.mjDSBL_CONTACT
    | _DISABLE.mjDSBL_SPRING
    | _DISABLE.mjDSBL_GRAVITY
    | _DISABLE.mjDSBL_CLAMPCTRL
    | _DISABLE.mjDSBL_EQUALITY
    | _DISABLE.mjDSBL_DAMPER
    | _DISABLE.mjDSBL_ACTUATION
    | _DISABLE.mjDSBL_FILTERPARENT
    | _DISABLE.mjDSBL_REFSAFE
)
"""Flags that leave out a part of a model, which an engine may leave out as well."""
_HARMLESS_ENABLED = _ENABLE.mjENBL_ENERGY | _ENABLE.mjENBL_FWDINV | _ENABLE.mjENBL_INVDISCRETE


def special_elements(model: mujoco.MjModel, other_than: Collection[str] = ()) -> Iterator[str]:
    """Yields the elements and properties of a model that other engines lack.

    Args:
        model: The compiled model.
        other_than: Those that an engine has, as they are called here.
    """
    for count, name in _ELEMENTS.items():
        if getattr(model, count) > 0 and name not in other_than:
            yield f"it has {name} ({getattr(model, count)})"
    if model.body_gravcomp.any() and "gravity compensation" not in other_than:
        yield "it has gravity compensation"
    if model.geom_adhesion.any() or model.pair_adhesion.any() or model.geom_surfacevel.any():
        yield "it has geoms with adhesion or surface velocity"


def is_disabled(model: mujoco.MjModel, *parts: str) -> bool:
    """Returns whether a model's flags disable one of some parts, such as "CONTACT"."""
    bits = (int(getattr(_DISABLE, f"mjDSBL_{part}")) for part in parts)
    return any(model.opt.disableflags & bit for bit in bits)


def has_passive_forces(model: mujoco.MjModel) -> bool:
    """Returns whether gravity compensation and fluids act, beside springs and dampers.

    Source: MuJoCo, mj_passive: without springs and dampers it leaves out everything.
    """
    return not (is_disabled(model, "SPRING") and is_disabled(model, "DAMPER"))


def special_options(
    model: mujoco.MjModel, honoured: int = 0, enabled: int = 0, *, fluids: bool = False
) -> Iterator[str]:
    """Yields the options of a model that other engines lack.

    Args:
        model: The compiled model.
        honoured: Flags that disable parts as the engine does.
        enabled: Flags that enable what the engine has.
        fluids: Whether the engine has fluids.
    """
    option = model.opt
    if not fluids and (option.density > 0 or option.viscosity > 0 or np.any(option.wind)):
        yield "it has a fluid (density, viscosity or wind)"
    disabled = option.disableflags & ~int(_HARMLESS_DISABLED) & ~int(honoured)
    others = option.enableflags & ~int(_HARMLESS_ENABLED) & ~int(enabled)
    for flags, kinds in ((disabled, _DISABLE), (others, _ENABLE)):
        verb = "disables" if kinds is _DISABLE else "enables"
        # Besides the flags, MuJoCo's enumeration has their number, mjNDISABLE or mjNENABLE.
        names = {int(kind): name for name, kind in kinds.__members__.items() if "_" in name}
        for bit in (1 << i for i in range(flags.bit_length())):
            if bit & flags:
                name = names[bit].split("_")[1].lower() if bit in names else f"flag {bit:#x}"
                yield f"it {verb} {name}"
