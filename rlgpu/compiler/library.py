"""Builds shared libraries from kernels, and keeps them in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rlgpu.device import user_cache

if TYPE_CHECKING:
    from rlgpu.compiler.lowering import Lowered, Place

_FLAGS = (
    "-O3",
    "-std=c++20",
    "-shared",
    "-fPIC",
    # As the extension is built: sums keep their order, products are rounded before they are added.
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-mavx2",
    "-mfma",
    "-mf16c",
    "-w",
    "-g0",
)
_COMPILER_SECONDS = 600
_PREFIX = "#include <torch/csrc/inductor/cpp_prefix.h>"
_SIGNATURE = re.compile(r'extern "C"\s+void\s+kernel\(([^)]*)\)')


class NoCompiler(Exception):
    """The machine cannot compile; the text says why."""


def cache_folder() -> Path:
    """Returns the folder of compiled code, the user's own: runs never bring any."""
    return user_cache("compiled")


def find_compiler() -> str:
    """Returns the path of a C++ compiler.

    Raises:
        NoCompiler: There is none, or code for this processor was never tried.
    """
    is_known = platform.machine() == "x86_64" and platform.system() == "Linux"
    if not is_known or torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        raise NoCompiler("task code is compiled on Linux with AVX2 only")
    found = shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")
    if found is None:
        raise NoCompiler("no C++ compiler was found (g++, clang++ or CXX)")
    return found


def key_of(texts: Sequence[str]) -> str:
    """Returns the name in the cache of what was recorded, with this version of everything."""
    digest = hashlib.blake2b(digest_size=20)
    own = Path(__file__).parent
    for text in (
        torch.__version__,
        *_FLAGS,
        *(path.read_text() for path in sorted(own.glob("*.py"))),
        *texts,
    ):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


class Library:
    """Native code of several segments."""

    def __init__(self, folder: Path) -> None:
        """Loads what ``build`` wrote."""
        plan = json.loads((folder / "plan.json").read_text())
        self.opaque = frozenset[str](plan["opaque"])
        """Names of the operations that are called as they are."""
        self.temporaries: list[list[int]] = plan["temporaries"]
        """Sizes of each segment's temporaries [bytes]."""
        code = ctypes.CDLL(str(folder / "code.so"))
        self.functions: list[Any] = []
        for i in range(len(self.temporaries)):
            function = getattr(code, f"segment_{i}")
            function.argtypes, function.restype = [ctypes.c_void_p], None
            self.functions.append(function)


def stored(key: str) -> Library | None:
    """Returns a library of the cache; None if it is not there."""
    folder = cache_folder() / key
    if not (folder / "plan.json").is_file():
        return None
    try:
        return Library(folder)
    except (OSError, ValueError, KeyError):  # damaged
        shutil.rmtree(folder, ignore_errors=True)
        return None


def build(key: str, segments: Sequence[Lowered], opaque: Collection[str]) -> Library:
    """Compiles segments, and keeps the library in the cache.

    Args:
        key: Its name there.
        segments: Each segment's kernels.
        opaque: Names of the operations between them.

    Raises:
        NoCompiler: The compiler fails.
    """
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError:  # it cannot be kept
        with tempfile.TemporaryDirectory() as name:
            return Library(_written(Path(name), key, segments, opaque))
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="building-") as name:
        own, kept = _written(Path(name), key, segments, opaque), cache_folder() / key
        try:
            own.rename(kept)
        except OSError:  # another process was faster
            return Library(kept if (kept / "plan.json").is_file() else own)
    return Library(kept)


def _written(folder: Path, key: str, segments: Sequence[Lowered], opaque: Collection[str]) -> Path:
    """Returns a new folder with a library's files."""
    own = folder / key
    own.mkdir()
    (own / "code.cpp").write_text(_source(segments))
    _compile(own / "code.cpp", own / "code.so")
    plan = {"opaque": sorted(opaque), "temporaries": [x.temporaries for x in segments]}
    (own / "plan.json").write_text(json.dumps(plan))
    return own


def _compile(source: Path, target: Path) -> None:
    home = Path(torch.__file__).parent
    # The libraries are torch's own, which this process has loaded.
    libraries = (f"-L{home / 'lib'}", "-lc10", "-ltorch_cpu")
    files = (str(source), "-o", str(target))
    command = [find_compiler(), *_FLAGS, f"-I{home / 'include'}", *files, *libraries]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COMPILER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompiler(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NoCompiler(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def _source(segments: Sequence[Lowered]) -> str:
    """Returns the source of a library: kernels, and a function for each segment.

    A segment's function takes pointers to its inputs, its temporaries and its outputs.
    """
    parts = [f"#include <cstring>\n{_PREFIX}\n"]
    for i, lowered in enumerate(segments):
        types: list[list[str]] = []
        for k, code in enumerate(lowered.kernels):
            text = code.replace(_PREFIX, "")
            found = _SIGNATURE.search(text)
            assert found is not None, text
            types.append([x.strip().rsplit(None, 1)[0] for x in found[1].split(",")])
            parts.append(text[: found.start()] + f"static void kernel_{i}_{k}({found[1]})")
            parts.append(text[found.end() :])
        parts.append(_driver(i, lowered, types))
    return "\n".join(parts)


def _driver(index: int, lowered: Lowered, types: list[list[str]]) -> str:
    """Returns the function that calls a segment's kernels."""

    def address(place: Place) -> str:
        first = 0 if place.kind == "input" else lowered.num_inputs
        return f"p[{first + place.number}] + {place.offset}"

    lines = [f'extern "C" void segment_{index}(char* const* p) {{']
    for number, places in lowered.calls:
        args = [f"({t})({address(x)})" for t, x in zip(types[number], places, strict=True)]
        lines.append(f"  kernel_{index}_{number}({', '.join(args)});")
    first = lowered.num_inputs + len(lowered.temporaries)
    for i, (place, size) in enumerate(lowered.outputs):
        lines.append(f"  std::memcpy(p[{first + i}], {address(place)}, {size});")
    return "\n".join([*lines, "}"])
