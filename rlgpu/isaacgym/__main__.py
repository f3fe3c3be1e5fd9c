"""Runs scripts written for Isaac Gym.

``rlgpu isaacgym SCRIPT.py ARGS``, or ``python -m rlgpu.isaacgym SCRIPT.py ARGS``.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from rlgpu.errors import NoGpu
from rlgpu.tools.command_line import keep_output_quiet

# Torch says so by texts only.
_NO_CUDA = ("Torch not compiled with CUDA", "Found no NVIDIA driver", "No CUDA GPUs are available")
_USAGE = 2


def run(words: Sequence[str]) -> int:
    """Runs a script with ``isaacgym`` resolving to rlgpu's; returns the exit code.

    Args:
        words: Options of the runner, the script and its own arguments.
    """
    args = _arguments(words)
    if args.coverage:
        from rlgpu.isaacgym.runner.coverage import table  # noqa: PLC0415

        keep_output_quiet()  # a script's own output is the script's matter
        print(table())
        return 0
    target = args.module or args.script
    if target is None or (args.module is None and not Path(target).is_file()):
        what = "no script was given" if target is None else f"there is no script {target}"
        return _refuse(f"{what}; use rlgpu isaacgym SCRIPT.py ARGS")
    from rlgpu.isaacgym.runner.installation import install  # noqa: PLC0415

    install(
        engine=args.sim,
        num_threads=args.threads,
        missing=args.missing,
        without_gpu=args.without_gpu,
    )
    rest = args.arguments if args.module is None else [args.script, *args.arguments]
    sys.argv = [target, *(word for word in rest if word is not None)]
    try:
        if args.module:
            sys.path.insert(0, "")
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(target).resolve().parent))
            runpy.run_path(target, run_name="__main__")
    except (AssertionError, RuntimeError, ValueError) as error:
        if not (isinstance(error, NoGpu) or any(text in str(error) for text in _NO_CUDA)):
            raise
        return _refuse(
            "the script uses a GPU, and torch finds none; pass --sim_device cpu --pipeline cpu "
            "--rl_device cpu (IsaacGymEnvs: sim_device=cpu pipeline=cpu rl_device=cpu)"
        )
    return 0


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="rlgpu isaacgym",
        description="Runs a script written for NVIDIA's Isaac Gym on MuJoCo or MuJoCo Warp.",
    )
    parser.add_argument(
        "--sim",
        default="auto",
        choices=("auto", "mujoco", "mujoco_warp", "fused"),
        help="engine; auto is mujoco_warp for tensors on a GPU, else fused, or mujoco for scenes "
        "that fused does not cover",
    )
    parser.add_argument("--threads", type=int, default=0, help="threads on a CPU; 0: one a core")
    parser.add_argument(
        "--missing",
        default="error",
        choices=("error", "placeholder"),
        help="what to do if a module that the script imports is not installed: "
        "stop, or put a placeholder in its place",
    )
    parser.add_argument(
        "--without-gpu",
        default="cpu",
        choices=("cpu", "error"),
        help="what to do if the script uses CUDA and torch finds no GPU: "
        "use the CPU instead, or stop",
    )
    parser.add_argument("--coverage", action="store_true", help="print what each call does")
    parser.add_argument("-m", dest="module", help="a module to run instead of a script")
    parser.add_argument("script", nargs="?", help="the script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    return parser.parse_args(words)


def _refuse(message: str) -> int:
    """Prints a message and returns the exit code of a usage error."""
    print(f"rlgpu.isaacgym: {message}", file=sys.stderr)
    return _USAGE


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
