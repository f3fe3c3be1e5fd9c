"""Every CUDA source compiles against this torch, even on machines with nvcc but no GPU.

Only for sm_90; CMake (test_cpp.py) compiles the kernels themselves for every architecture.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
HEADERS = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in (".h", ".cuh"))
CACHE = ROOT / "build" / "cuda_sources"
# A CPU build of torch lacks the header that describes its CUDA configuration.
FLAGS = (
    "-std=c++20", "-O3", "-fmad=false", "--expt-relaxed-constexpr", "-arch=sm_90",
    "-DC10_USING_CUSTOM_GENERATED_MACROS", "-DRLGPU_WITH_CUDA",
)  # fmt: skip


def compile_once(source: Path) -> str:
    """Returns the compiler's complaints; unchanged sources that compiled before are skipped."""
    compiler = subprocess.run(["nvcc", "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(repr((FLAGS, torch.__version__)).encode() + compiler)
    for path in (source, *HEADERS):
        digest.update(path.read_bytes())
    compiled = CACHE / f"{source.stem}-{digest.hexdigest()[:16]}"
    if compiled.exists():
        return ""
    target = CACHE / f"{source.stem}.{os.getpid()}.o"
    includes = [f"-I{path}" for path in include_paths()]
    command = ["nvcc", "-c", *FLAGS, *includes, str(source), "-o", str(target)]
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
    CACHE.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(SOURCES, pool.map(compile_once, SOURCES), strict=True))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on PATH")
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_cuda_source_compiles_without_warnings(source: Path, complaints: dict[Path, str]) -> None:
    """Against this torch's headers."""
    assert not complaints[source]
