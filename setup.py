"""Builds rlgpu._C: with CUDA if torch supports it and nvcc is found, otherwise for the CPU only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from setuptools import find_packages, setup


def cuda_home() -> str | None:
    """Returns a CUDA toolkit's folder: CUDA_HOME, nvcc's on PATH, the default or the wheel's."""
    if home := os.environ.get("CUDA_HOME"):
        return home
    if shutil.which("nvcc"):
        # nvcc may be a wrapper script outside its toolkit, so ask it where the toolkit is.
        command = ["nvcc", "--dryrun", "x.cu"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if top := re.search(r"^#\$ TOP=(.+)$", said.stderr + said.stdout, re.MULTILINE):
            return str(Path(top[1].strip()).resolve())
    folders = [
        Path("/usr/local/cuda"),
        *(p for f in sys.path for p in Path(f or ".").glob("nvidia/*")),
    ]
    return next((str(f) for f in folders if (f / "bin" / "nvcc").is_file()), None)


# torch looks for the toolkit when the next module is imported.
if torch.version.cuda is not None and (home := cuda_home()):
    os.environ["CUDA_HOME"] = home
    if not torch.cuda.is_available():
        os.environ.setdefault("TORCH_CUDA_ARCH_LIST", "8.0;9.0;10.0;12.0+PTX")

from torch.utils.cpp_extension import (  # noqa: E402
    BuildExtension,
    CppExtension,
    CUDAExtension,
)

ROOT = Path(__file__).parent
# FMA contraction stays off so that acting and training round identically; csrc/cpu/physics turns
# it on for the physics of wide vectors.
CXX_FLAGS = [
    "-O3",
    "-std=c++20",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-g0",  # Python's own flags ask for debug symbols, at a third of the compile time
    "-Wall",
    "-Wno-unknown-pragmas",
]
# Apple's compiler has OpenMP's pragmas, and torch the library that they call.
OPENMP = ["-Xpreprocessor", "-fopenmp"] if sys.platform == "darwin" else ["-fopenmp"]
NVCC_FLAGS = ["-O3", "-std=c++20", "-fmad=false", "--expt-relaxed-constexpr"]


class Incremental(BuildExtension):
    """Keeps objects between builds, so that ninja compiles only what changed."""

    def finalize_options(self) -> None:
        """Replaces the temporary folder of editable installations."""
        super().finalize_options()
        self.build_temp = str(ROOT / "build" / "extension")


def extension() -> CppExtension | CUDAExtension:
    """Returns the extension that this machine can build, and prints which one."""
    sources = [
        "csrc/ops.cpp",
        *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("csrc/cpu/**/*.cpp")),
    ]
    home = cuda_home()
    if torch.version.cuda is None or home is None:
        reason = "this torch lacks CUDA" if torch.version.cuda is None else "no nvcc was found"
        print(f"rlgpu: building the extension for the CPU only ({reason})")
        return CppExtension("rlgpu._C", sources, extra_compile_args={"cxx": [*CXX_FLAGS, *OPENMP]})
    print(f"rlgpu: building the extension for CPU and CUDA {torch.version.cuda} ({home})")
    sources += sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("csrc/cuda/*.cu"))
    return CUDAExtension(
        "rlgpu._C",
        sources,
        extra_compile_args={
            "cxx": [*CXX_FLAGS, *OPENMP, "-DRLGPU_WITH_CUDA"],
            "nvcc": NVCC_FLAGS,
        },
    )


setup(
    # rlgpu/tasks and rlgpu/cfg are links to the folders of the top level; a wheel holds copies.
    packages=find_packages(include=["rlgpu", "rlgpu.*"]),
    package_data={
        "rlgpu": ["py.typed", "cfg/*.yaml", "cfg/*/*.yaml", "cfg/*/*/*.yaml"],
        "rlgpu.config.presets": ["*.yaml"],
        "rlgpu.tools": ["template/*.py", "template/*.xml", "template/*.yaml"],
        "rlgpu.tasks": ["assets/*", "assets/*/*"],
    },
    ext_modules=[extension()],
    cmdclass={"build_ext": Incremental},
)
