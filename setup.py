"""Builds rlgpu._C: with CUDA where torch has it and nvcc is found, for the CPU alone elsewhere."""

import os
import shutil
import sys
from pathlib import Path

import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

ROOT = Path(__file__).parent
# Contraction stays off so that acting and training, and every vector width, round alike.
CXX_FLAGS = [
    "-O3",
    "-std=c++20",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wall",
    "-Wno-unknown-pragmas",
]
NVCC_FLAGS = ["-O3", "-std=c++20", "-fmad=false", "--expt-relaxed-constexpr"]


def cuda_home() -> str | None:
    """Returns the folder of a CUDA toolkit: CUDA_HOME, nvcc's on PATH, or the nvcc wheel's."""
    if home := os.environ.get("CUDA_HOME"):
        return home
    if nvcc := shutil.which("nvcc"):
        return str(Path(nvcc).resolve().parent.parent)
    for folder in sys.path:
        for candidate in Path(folder or ".").glob("nvidia/*/bin/nvcc"):
            return str(candidate.parent.parent)
    return None


def extension() -> CppExtension | CUDAExtension:
    """Returns the extension this machine can build, and says which."""
    sources = [
        "csrc/ops.cpp",
        *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("csrc/cpu/*.cpp")),
    ]
    home = cuda_home()
    if torch.version.cuda is None or home is None:
        reason = "this torch has no CUDA" if torch.version.cuda is None else "no nvcc was found"
        print(f"rlgpu: building the extension for the CPU alone ({reason})")
        return CppExtension(
            "rlgpu._C", sources, extra_compile_args={"cxx": [*CXX_FLAGS, "-fopenmp"]}
        )
    os.environ.setdefault("CUDA_HOME", home)
    print(f"rlgpu: building the extension for CPU and CUDA {torch.version.cuda} ({home})")
    sources += sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("csrc/cuda/*.cu"))
    return CUDAExtension(
        "rlgpu._C",
        sources,
        extra_compile_args={
            "cxx": [*CXX_FLAGS, "-fopenmp", "-DRLGPU_WITH_CUDA"],
            "nvcc": NVCC_FLAGS,
        },
    )


setup(
    packages=find_packages(include=["rlgpu", "rlgpu.*"]),
    ext_modules=[extension()],
    cmdclass={"build_ext": BuildExtension},
)
