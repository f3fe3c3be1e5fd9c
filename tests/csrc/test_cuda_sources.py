"""Every CUDA source compiles against this torch, even on machines with nvcc but no GPU.

Only for sm_90; CMake (test_cpp.py) compiles the kernels themselves for every architecture. Those
of the physics take minutes to assemble, so that is left to CMake.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths

from rlgpu.device import num_usable_cores
from tests.compiled import cache, digest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
HEADERS = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in (".h", ".cuh"))
# A CPU build of torch lacks the header that describes its CUDA configuration.
FLAGS = (
    "-std=c++20",
    "-O3",
    "-fmad=false",
    "--expt-relaxed-constexpr",
    "-arch=sm_90",
    "-DC10_USING_CUSTOM_GENERATED_MACROS",
    "-DRLGPU_WITH_CUDA",
)


def compile_once(source: Path, kept: Path) -> str:
    """Returns the compiler's complaints; unchanged sources that compiled before are skipped."""
    compiled = kept / f"{source.stem}-{digest([source, *HEADERS], *FLAGS, torch.__version__)}"
    if compiled.exists():
        return ""
    target = kept / f"{source.stem}.{os.getpid()}.o"
    includes = [f"-I{path}" for path in include_paths()]
    until = "--ptx" if source.stem == "physics" else "-c"
    command = ["nvcc", until, *FLAGS, *includes, str(source), "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    target.unlink(missing_ok=True)
    complaints = result.stdout + result.stderr
    if result.returncode == 0 and "warning" not in complaints:
        compiled.touch()
        return ""
    return complaints or f"nvcc ended with {result.returncode}"


@pytest.fixture(scope="module")
def complaints() -> dict[Path, str]:
    """Compiles all sources on all cores and returns their complaints."""
    with cache("cuda_sources") as kept, ThreadPoolExecutor(num_usable_cores()) as pool:
        results = pool.map(compile_once, SOURCES, [kept] * len(SOURCES))
        return dict(zip(SOURCES, results, strict=True))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on PATH")
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_cuda_source_compiles_without_warnings(source: Path, complaints: dict[Path, str]) -> None:
    """Against this torch's headers."""
    assert not complaints[source]
