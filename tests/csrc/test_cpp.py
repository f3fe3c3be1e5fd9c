"""The kernels build and pass their tests without Python, through CMake; on a GPU if available."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Kept between runs, so that only what changed is compiled again.
BUILD = ROOT / "build" / "cpp_tests"
ARCHITECTURES = "80-real;90-real;100-real;120-real"


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on PATH")
def test_the_kernels_pass_their_own_tests() -> None:
    """Configure, build for every supported architecture, ctest."""
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(BUILD), f"-DCMAKE_CUDA_ARCHITECTURES={ARCHITECTURES}"],
        ["cmake", "--build", str(BUILD), "--parallel", str(os.cpu_count())],
        ["ctest", "--test-dir", str(BUILD), "--output-on-failure"],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
