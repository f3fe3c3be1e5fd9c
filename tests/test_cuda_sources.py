"""Every CUDA source compiles, on machines that have nvcc and no GPU as well."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from torch.utils.cpp_extension import include_paths

ROOT = Path(__file__).parents[1]
ARCHITECTURES = (80, 90, 100, 120)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on PATH")
@pytest.mark.parametrize(
    "source", sorted((ROOT / "csrc" / "cuda").glob("*.cu")), ids=lambda p: p.stem
)
def test_cuda_source_compiles_for_every_supported_architecture(
    source: Path, tmp_path: Path
) -> None:
    """One object for sm_80, sm_90, sm_100 and sm_120, against this torch's headers."""
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    # A CPU build of torch lacks the header that says how its CUDA half was configured.
    includes = [f"-I{path}" for path in include_paths()]
    command = [
        "nvcc",
        "-c",
        "--threads=2",
        "-std=c++20",
        "-O3",
        "-fmad=false",
        "--expt-relaxed-constexpr",
    ]
    command += ["-DC10_USING_CUSTOM_GENERATED_MACROS", "-DRLGPU_WITH_CUDA", *targets, *includes]
    command += [str(source), "-o", str(tmp_path / "out.o")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "warning" not in result.stderr, result.stderr
