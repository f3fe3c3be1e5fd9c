"""Splits triangle meshes into convex parts, by planes along the axes.

The part that is least convex is cut first, where its halves become most convex. A part is as convex
as its surface is near to its hull: how far one can go from a triangle outwards before leaving the
hull. Cuts need no lids, because a part stands for the hull of its triangles.

Source: the measure and the greedy cuts follow Wei et al., Approximate Convex Decomposition for 3D
Meshes with Collision-Aware Concavity and Tree Search (2022), without its tree search.
"""

from __future__ import annotations

import heapq
import itertools
from typing import NamedTuple

import mujoco
import numpy as np

from rlgpu.robots.frames import mesh_vertices

_MOST_TRIANGLES = 600
"""Triangles of a part that are looked at."""
_DIRECTIONS = 256
"""Directions whose outermost points stand for a part when cuts are compared."""


class _Part(NamedTuple):
    """Triangles, how far they are from convex, and where they are farthest."""

    triangles: np.ndarray
    """Shape [T, 3, 3]."""
    depth: float
    place: np.ndarray
    """Shape [3]."""
    total: float
    """Depth times area over all triangles: a cut that only halves a part leaves it as it is."""


def convex_parts(
    vertices: np.ndarray, faces: np.ndarray, tolerance: float, most: int
) -> list[np.ndarray]:
    """Returns the points of convex parts, each of shape [P, 3].

    Args:
        vertices: Points of a closed mesh [m], shape [V, 3].
        faces: Triangles, all counter-clockwise from outside or all from inside, shape [T, 3].
        tolerance: Depth of a hollow that may be filled [m].
        most: Largest number of parts.
    """
    count = itertools.count()  # orders parts of equal depth
    triangles = np.asarray(vertices, float)[faces]
    if np.linalg.det(triangles - triangles.mean(axis=(0, 1))).sum() < 0:
        triangles = triangles[:, ::-1]  # inside out
    whole = _part(triangles)
    if whole is None:
        return []
    queue = [(-whole.depth, next(count), whole)]
    done: list[_Part] = []
    while queue and len(queue) + len(done) < most and -queue[0][0] > tolerance:
        part = heapq.heappop(queue)[2]
        halves = _best_halves(part)
        if halves is None:
            done.append(part)
        for half in halves or ():
            heapq.heappush(queue, (-half.depth, next(count), half))
    parts = [*done, *(part for _, _, part in queue)]
    return [np.unique(part.triangles.reshape(-1, 3), axis=0) for part in parts]


def _best_halves(part: _Part) -> list[_Part] | None:
    """Returns the halves of the cut that leaves the least depth, None without a useful cut."""
    low, high = part.triangles.min(axis=(0, 1)), part.triangles.max(axis=(0, 1))
    best, found = np.inf, None
    for axis in range(3):
        margin = 0.02 * (high[axis] - low[axis])
        for place in {0.5 * (low[axis] + high[axis]), float(part.place[axis])}:
            if not low[axis] + margin < place < high[axis] - margin:
                continue
            sides = [_part(_clip(part.triangles, axis, place, sign)) for sign in (1.0, -1.0)]
            halves = [side for side in sides if side is not None]
            depths = [half.depth for half in halves]
            # A side without volume is air: the cut is along a wall.
            left = sum(half.total for half in halves) / part.total
            score = (max(depths, default=np.inf) + 0.1 * sum(depths)) / part.depth + 0.1 * left
            if score < best and (len(halves) == 2 or max(depths, default=np.inf) < part.depth):
                best, found = score, halves
    return found


def _clip(triangles: np.ndarray, axis: int, place: float, sign: float) -> np.ndarray:
    """Returns what of triangles is on one side of a plane, cut into triangles."""
    beyond = sign * (triangles[:, :, axis] - place)  # [T, 3]
    # Rounding must not leave slivers of triangles in the plane; these belong to the solid's side.
    beyond[np.abs(beyond) < 1e-6 * np.ptp(triangles[:, :, axis])] = 0.0
    flat = (beyond == 0).all(axis=1)
    a, b, c = triangles[flat].transpose(1, 0, 2)
    beyond[flat] = -sign * np.sign(np.cross(b - a, c - a)[:, axis])[:, None]
    inside = beyond >= 0
    count = inside.sum(axis=1)
    kept = [triangles[count == 3]]
    for number in (1, 2):
        chosen = count == number
        own, away = triangles[chosen], beyond[chosen]
        # The corner that is alone on its side comes first.
        alone = np.argmax(inside[chosen] == (number == 1), axis=1)
        order = (alone[:, None] + np.arange(3)) % 3
        own = np.take_along_axis(own, order[:, :, None], axis=1)
        away = np.take_along_axis(away, order, axis=1)
        share = away[:, :1] / (away[:, :1] - away[:, 1:])  # [C, 2]
        cuts = own[:, :1] + share[:, :, None] * (own[:, 1:] - own[:, :1])  # [C, 2, 3]
        if number == 1:
            kept.append(np.concatenate((own[:, :1], cuts), axis=1))
        else:
            kept.append(np.stack((cuts[:, 0], own[:, 1], own[:, 2]), axis=1))
            kept.append(np.stack((cuts[:, 0], own[:, 2], cuts[:, 1]), axis=1))
    return np.concatenate(kept)


def _part(triangles: np.ndarray) -> _Part | None:
    """Returns a part with its depth, None for one without volume."""
    hull = _hull(triangles.reshape(-1, 3)) if len(triangles) else None
    if hull is None:
        return None
    normals, offsets = hull
    shown = triangles[:: -(-len(triangles) // _MOST_TRIANGLES)]
    outwards = np.cross(shown[:, 1] - shown[:, 0], shown[:, 2] - shown[:, 0])
    length = np.linalg.norm(outwards, axis=1)
    # Slivers of cuts point anywhere.
    whole = length > 1e-6 * np.ptp(triangles, axis=(0, 1)).max() ** 2
    shown, outwards = shown[whole], outwards[whole] / length[whole, None]
    if not len(shown):
        return None
    middle = shown.mean(axis=1)
    slope = outwards @ normals.T  # [T, F]
    gap = np.maximum(offsets - middle @ normals.T, 0.0)
    way = np.where(slope > 1e-6, gap / np.maximum(slope, 1e-6), np.inf).min(axis=1)
    worst = int(np.argmax(way))
    total = float((way * length[whole]).sum()) * len(triangles) / len(whole)
    return _Part(triangles, float(way[worst]), middle[worst], total)


def _hull(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns normals and offsets of the faces of a hull, None for points without volume."""
    rows = np.ascontiguousarray(points).view(f"V{points.itemsize * 3}").ravel()
    points = points[np.unique(rows, return_index=True)[1]]  # each corner has many triangles
    points = points[np.unique((points.astype(np.float32) @ _SPHERE).argmax(axis=0))]
    size = np.ptp(points, axis=0).max() if len(points) else 0.0
    if len(points) < 4 or size == 0:
        return None
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[-1] < 1e-4 * spread[0]:
        return None
    spec = mujoco.MjSpec()
    # Tiny hulls count as flat in MuJoCo.
    spec.add_mesh(name="hull", uservert=((points - points[0]) / size).astype(np.float32).flatten())
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="hull")
    try:
        model = spec.compile()
    except ValueError:
        return None
    corners = mesh_vertices(model)
    graph = model.mesh_graph
    faces = graph[2 + 3 * graph[0] + 3 * graph[1] :][: 3 * graph[1]].reshape(-1, 3)
    a, b, c = corners[faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    normals, a = normals[length > 1e-12] / length[length > 1e-12, None], a[length > 1e-12]
    # Outwards, whichever way MuJoCo lists the corners.
    normals *= np.sign(((a - corners.mean(axis=0)) * normals).sum(axis=1, keepdims=True))
    return normals, (normals * (a * size + points[0])).sum(axis=1)


def _sphere() -> np.ndarray:
    """Returns directions spread evenly over a sphere and along the axes, shape [3, D]."""
    i = np.arange(_DIRECTIONS)
    z = 1 - (2 * i + 1) / _DIRECTIONS
    angle, radius = i * np.pi * (3 - 5**0.5), np.sqrt(1 - z * z)
    spread = np.stack((radius * np.cos(angle), radius * np.sin(angle), z), axis=1)
    corners = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
    every = np.concatenate((spread, corners[np.abs(corners).sum(axis=1) > 0]))
    return every.T.astype(np.float32)


_SPHERE = _sphere()
