"""Tells whether the fused engine simulates an MJCF file: ``python -m rlgpu.sim.accept FILE.xml``.

The integrator, which every scene sets itself, is not held against the file.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Prints the verdict; returns the exit code: 0 if it does, 1 if not, 2 for a usage error."""
    import mujoco  # noqa: PLC0415

    from rlgpu.sim.mujoco.fused.coverage import accept  # noqa: PLC0415

    if len(arguments) != 1:
        print("usage: python -m rlgpu.sim.accept FILE.xml", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    if not path.is_file():
        print(f"error: there is no file {path}", file=sys.stderr)
        return 2
    try:
        model = mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        print(f"error: MuJoCo cannot load {path}: {error}", file=sys.stderr)
        return 2
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    reasons = accept(model)
    if not reasons:
        print(f"sim=fused simulates {path}")
        return 0
    print(f"sim=fused does not simulate {path}; sim=mujoco and sim=mujoco_warp do:")
    for reason in reasons:
        print(f"- {reason}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
