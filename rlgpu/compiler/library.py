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
from collections.abc import Callable, Collection, Sequence
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
_KEPT = 100
"""Libraries that stay in the cache, each of 100 kB."""
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


def key_of(compiler: str, texts: Sequence[str]) -> str:
    """Returns the name in the cache of what was recorded, with this version of everything.

    Args:
        compiler: What ``find_compiler`` returned.
        texts: What was recorded.
    """
    digest = hashlib.blake2b(digest_size=20)
    own = Path(__file__).parent
    for text in (
        torch.__version__,
        platform.machine(),
        _version_of(compiler),
        *_FLAGS,
        *(path.read_text() for path in sorted(own.glob("*.py"))),
        *texts,
    ):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _version_of(compiler: str) -> str:
    """Returns a compiler's path and version.

    Raises:
        NoCompiler: It does not run.
    """
    try:
        done = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoCompiler(f"{compiler} does not run: {error}") from error
    return f"{compiler} {done.stdout}"


class Library:
    """Native code of several segments."""

    def __init__(self, folder: Path) -> None:
        """Loads what ``build`` wrote."""
        plan = json.loads((folder / "plan.json").read_text())
        if not isinstance(plan, dict):
            raise TypeError(f"{folder / 'plan.json'} holds no plan")
        self.opaque = frozenset[str](plan["opaque"])
        """Names of the operations that are called as they are."""
        self.temporaries: list[list[int]] = plan["temporaries"]
        """Sizes of each segment's temporaries [bytes]."""
        code = ctypes.CDLL(str(folder / "code.so"))
        self.functions: list[Any] = []
        for i in range(len(self.temporaries)):
            function = getattr(code, f"segment_{i}")
            function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_int
            self.functions.append(function)


def stored(key: str, count_segments: Callable[[frozenset[str]], int]) -> Library | None:
    """Returns a library of the cache; None if it is not there or damaged.

    Args:
        key: Its name.
        count_segments: Returns the number of segments that it should have, by its opaque
            operations.
    """
    folder = cache_folder() / key
    if not (folder / "plan.json").is_file():
        return None
    try:
        library = Library(folder)
        if len(library.temporaries) == count_segments(library.opaque):
            return library
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
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
        return _kept(key, segments, opaque)
    except OSError:  # it cannot be kept: the folder is read-only, or full
        pass
    try:
        with tempfile.TemporaryDirectory() as name:
            return Library(_written(Path(name), key, segments, opaque))
    except OSError as error:
        raise NoCompiler(f"no folder can be written: {error}") from error


def _kept(key: str, segments: Sequence[Lowered], opaque: Collection[str]) -> Library:
    """Returns a new library of the cache.

    Raises:
        OSError: The cache cannot be written.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    _remove_old(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as name:
        own, kept = _written(Path(name), key, segments, opaque), folder / key
        try:
            own.rename(kept)
        except OSError:  # another process was faster
            return Library(kept if (kept / "plan.json").is_file() else own)
    return Library(kept)


def _remove_old(folder: Path) -> None:
    """Removes the oldest libraries beyond those that are kept, and what killed runs left."""
    entries = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in entries[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


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

    A segment's function takes pointers to its inputs, its temporaries and its outputs, and returns
    0 if it succeeds.
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

    lines = [f'extern "C" int segment_{index}(char* const* p) try {{']
    for number, places in lowered.calls:
        args = [f"({t})({address(x)})" for t, x in zip(types[number], places, strict=True)]
        lines.append(f"  kernel_{index}_{number}({', '.join(args)});")
    first = lowered.num_inputs + len(lowered.temporaries)
    for i, (place, size) in enumerate(lowered.outputs):
        lines.append(f"  std::memcpy(p[{first + i}], {address(place)}, {size});")
    # Inductor's kernels throw if an integer is divided by zero.
    return "\n".join([*lines, "  return 0;", "} catch (...) {", "  return 1;", "}"])
