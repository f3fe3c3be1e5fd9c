"""Left and right of a robot: which joint is the mirror image of which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlgpu.robots.survey.stance import Stance

_MIRRORED = np.array([1.0, -1.0, 1.0])
"""Mirror image of a place or a direction, in the plane of x and z."""
_CLOSE, _PARALLEL = 0.02, 0.98
"""Most that mirror images are apart, as a share of the base's height, and least cosine of their
axes."""


def mirror_of(stance: Stance, joints: Sequence[str]) -> dict[str, str]:
    """Returns each joint's image in the mirror, with a minus sign if it turns the other way.

    It follows from places and axes of the joints in the robot's pose. Two joints of one place and
    one axis are told apart by their order.

    Args:
        stance: The robot in its default pose.
        joints: Names of the joints to compare.

    Returns:
        ``{"FL_hip": "-FR_hip", ...}``; empty if any joint has no image.
    """
    model, data = stance.model, stance.data
    ids = [stance.joints[name] for name in joints]
    origin = data.xpos[stance.base_id]
    tolerance = _CLOSE * max(float(origin[2]), 1e-3)
    places = data.xanchor[ids] - origin
    axes = data.xaxis[ids]
    is_slide = model.jnt_type[ids] == 2
    # What turns to the left turns to the right in a mirror; what moves up still moves up.
    images = np.where(is_slide[:, None], axes * _MIRRORED, -axes * _MIRRORED)
    found: dict[str, str] = {}
    taken: set[int] = set()
    for i, name in enumerate(joints):
        apart = np.linalg.norm(places * _MIRRORED - places[i], axis=1)
        cosine = images @ axes[i]
        fits = (apart < tolerance) & (abs(cosine) > _PARALLEL) & (is_slide == is_slide[i])
        options = [int(j) for j in np.flatnonzero(fits) if int(j) not in taken]
        if not options:
            return {}
        other = min(options, key=lambda j: (round(apart[j] / tolerance), abs(j - i) == 0, j))
        taken.add(other)
        found[name] = f"{'-' if cosine[other] < 0 else ''}{joints[other]}"
    is_mutual = all(
        found[image.removeprefix("-")].removeprefix("-") == name for name, image in found.items()
    )
    return found if is_mutual else {}
