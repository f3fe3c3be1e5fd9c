"""Shapes of assets: removes what is only drawn, and settles sizes that follow from meshes."""

from __future__ import annotations

import mujoco

READ_BY_MUJOCO = (".stl", ".obj", ".msh")
"""Formats of meshes that MuJoCo reads."""
_MESH = mujoco.mjtGeom.mjGEOM_MESH
_OF_MESHES = (_MESH, mujoco.mjtGeom.mjGEOM_SDF)


def _is_drawn_mesh(geom: mujoco.MjsGeom) -> bool:
    return geom.type == _MESH and not (geom.contype or geom.conaffinity)


def drop_unreadable(spec: mujoco.MjSpec) -> None:
    """Removes drawn meshes of formats that MuJoCo does not read; others count towards the mass."""
    files = {mesh.name: mesh.file.lower() for mesh in spec.meshes}
    unread = {n for n, file in files.items() if file and not file.endswith(READ_BY_MUJOCO)}
    for geom in list(spec.geoms):
        if _is_drawn_mesh(geom) and geom.meshname in unread:
            spec.delete(geom)
    drop_unused_meshes(spec)


def drop_looks(spec: mujoco.MjSpec) -> None:
    """Removes materials, sites and others that neither move nor weigh."""
    for part in [*spec.geoms, *spec.meshes, *spec.tendons]:
        part.material = ""
    for kind in ("sites", "cameras", "lights", "skins", "materials", "textures"):
        for element in list(getattr(spec, kind)):
            spec.delete(element)


def drop_drawn_meshes(spec: mujoco.MjSpec) -> None:
    """Removes meshes that are only drawn, once the mass no longer follows from them."""
    for geom in list(spec.geoms):
        geom.group = 0
        if _is_drawn_mesh(geom):
            spec.delete(geom)
    drop_unused_meshes(spec)


def settle_fitted(spec: mujoco.MjSpec) -> None:
    """Makes the sizes of shapes explicit that are fitted to meshes, by settings of their file."""
    fitted = [geom for geom in spec.geoms if geom.meshname and geom.type not in _OF_MESHES]
    if not fitted:
        return
    model = spec.compile()
    for geom in fitted:
        geom.meshname, geom.size = "", [1, 1, 1]
    drop_unused_meshes(spec)
    plain = spec.compile()
    for row in (plain.geom(geom.name).id for geom in fitted):
        for name in ("geom_size", "geom_pos", "geom_quat"):
            getattr(plain, name)[row] = getattr(model, name)[row]
    spec.copy_back(plain)


def drop_unused_meshes(spec: mujoco.MjSpec) -> None:
    """Removes meshes and height fields that no geom has."""
    used = {geom.meshname for geom in spec.geoms}, {geom.hfieldname for geom in spec.geoms}
    for names, parts in zip(used, (spec.meshes, spec.hfields), strict=True):
        for part in list(parts):
            if part.name not in names:
                spec.delete(part)
