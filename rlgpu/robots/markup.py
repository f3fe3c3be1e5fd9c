"""The markup of MJCF files, made such that MuJoCo's parser reads it.

Files written for old versions of MuJoCo have attributes and elements that it no longer knows, and
names that repeat. What the parser reads is left to it: paths, defaults, frames and attachments.
"""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from pathlib import Path

from rlgpu.robots.joints import PLAY
from rlgpu.robots.reports import report

_DROPPED = ("option", "visual", "statistic", "size", "extension")
_WORLD_ONLY = ("geom", "light", "camera", "site")
_ASSETS = ("mesh", "hfield", "model")
_OF_FILES = ("mesh", "hfield", "model")
_BESIDE = "rlgpu_beside"
"""Attribute that holds the folder of the included file that an element is from."""


def read_markup(path: Path) -> ET.Element:
    """Returns the elements of an MJCF file and of the files that it includes.

    Raises:
        ValueError: It is not MJCF, or a file that it includes is missing.
    """
    root = _expand(_parse(path), path, path.parent, 0)
    if root.tag != "mujoco":
        raise ValueError(f"{path.name} is not MJCF: its root element is <{root.tag}>")
    _clean(root)
    _rename_repeated(root, path)
    for model in root.iter("model"):  # relative to the file that names it
        folder = Path(model.attrib.pop(_BESIDE, path.parent))
        model.set("file", str((folder / model.get("file", "")).resolve()))
    _find_beside_included(root, path.parent)
    return root


def put_under_one_body(root: ET.Element) -> None:
    """Puts all that is in the world under a common body."""
    for world in root.findall("worldbody"):
        children = list(world)
        base = ET.SubElement(world, "body", name=root.get("model", "base"))
        for child in children:
            world.remove(child)
            base.append(child)


def _parse(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()
    except ET.ParseError as error:
        raise ValueError(f"{path.name} is not XML: {error}") from error


def _expand(root: ET.Element, path: Path, folder: Path, depth: int) -> ET.Element:
    """Puts the contents of included files in place of their ``include``s.

    Args:
        root: The elements of a file; changed in place.
        path: The file.
        folder: Folder of the main file, which names of included files are relative to.
        depth: How many files include this one in a chain.
    """
    if depth > 10:
        raise ValueError(f"{path.name}: files include each other in a circle")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag != "include":
                continue
            name = child.get("file", "").replace("\\", "/")
            # As MuJoCo: relative to the main file, else to the including one.
            places = [folder / name, path.parent / name]
            file = next((place for place in places if place.is_file()), None)
            if file is None:
                raise ValueError(f"{path.name} includes {places[0]}, which does not exist")
            inside = _expand(_parse(file), file, folder, depth + 1)
            for element in inside.iter():
                if element.tag in _OF_FILES and "file" in element.attrib:
                    element.attrib.setdefault(_BESIDE, str(file.parent))
            at = list(parent).index(child)
            parent.remove(child)
            for i, element in enumerate(inside):
                parent.insert(at + i, copy.deepcopy(element))
    return root


def _find_beside_included(root: ET.Element, folder: Path) -> None:
    """Says where files are that only lie beside the included file that names them.

    As MuJoCo, where the main file's rules find nothing; ``meshdir`` does not count there.

    Args:
        root: All elements; changed in place.
        folder: Folder of the main file.
    """
    settings: dict[str, str] = {}
    for compiler in root.iter("compiler"):
        settings |= compiler.attrib
    usual = folder / settings.get("meshdir", settings.get("assetdir", ""))
    for element in root.iter():
        beside = element.attrib.pop(_BESIDE, None)
        if beside is None or settings.get("strippath") == "true":
            continue
        name = element.attrib["file"]
        if not (usual / name).is_file() and (Path(beside) / name).is_file():
            element.set("file", str((Path(beside) / name).resolve()))


def _clean(root: ET.Element) -> None:
    """Removes sections and attributes that assets do not have."""
    for element in list(root):
        if element.tag in _DROPPED:
            root.remove(element)
        elif element.tag == "worldbody":
            _clean_world(element)
        elif element.tag == "asset":
            for child in list(element):
                if child.tag not in _ASSETS:
                    element.remove(child)
    for element in root.iter():
        element.attrib.pop("material", None)
        inertials = element.findall("inertial")
        for again in inertials[1:]:
            element.remove(again)
    # MuJoCo takes "0 0" for no limits; a joint whose own limits these are is locked.
    for joint in (joint for world in root.iter("worldbody") for joint in world.iter("joint")):
        if _are_zero(joint.get("range", "").split()):
            joint.set("range", f"{-PLAY} {PLAY}")


def _are_zero(limits: list[str]) -> bool:
    try:
        return [float(limit) for limit in limits] == [0.0, 0.0]
    except ValueError:
        return False  # which MuJoCo refuses with the line


def _clean_world(element: ET.Element) -> None:
    """Removes what is the world's own, also where it is in a frame or a replica."""
    for child in list(element):
        if child.tag in _WORLD_ONLY:
            element.remove(child)
        elif child.tag in ("frame", "replicate"):
            _clean_world(child)


def _rename_repeated(root: ET.Element, path: Path) -> None:
    """Gives parts of one kind and name different names; old readers did not compare them."""
    seen: set[tuple[str, str]] = set()
    for element in (part for world in root.iter("worldbody") for part in world.iter()):
        name = element.get("name")
        if name is None:
            continue
        new, count = name, 0
        while (element.tag, new) in seen:
            count += 1
            new = f"{name}_{count}"
        seen.add((element.tag, new))
        if count:
            element.set("name", new)
            report(f"{path.name}: a second {element.tag} {name} is called {new}")
