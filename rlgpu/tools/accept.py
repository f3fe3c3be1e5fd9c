"""Tells which engines simulate a robot's file in a task.

    rlgpu accept FILE.xml

It lists what every task refuses, whatever the engine, and what only sim=fused does not simulate.
The exit code is 0 if sim=fused simulates the file, 1 if not, 2 if the file cannot be read. The
integrator, which every scene sets itself, is not held against the file.
"""

from __future__ import annotations

from pathlib import Path

from rlgpu.errors import Unreadable, UsageError


def run(words: list[str]) -> int:
    """Prints the verdict; returns the exit code: 0 if sim=fused simulates the file, else 1.

    Raises:
        UsageError: There is no such file, or it cannot be read.
    """
    import mujoco  # noqa: PLC0415

    from rlgpu.sim.mujoco.asset import task_refusals  # noqa: PLC0415
    from rlgpu.sim.mujoco.fused.coverage import accept  # noqa: PLC0415
    from rlgpu.sim.reasons import group_reasons  # noqa: PLC0415

    if len(words) != 1:
        said = f"got {len(words)} files; usage: rlgpu accept FILE.xml"
        raise UsageError(said, key="accept", value=tuple(words))
    path = Path(words[0])
    if not path.is_file():
        said = f"there is no file {path}"
        raise Unreadable(said, "missing", key="accept", value=words[0], path=path)
    mujoco.set_mju_user_warning(lambda _text: None)
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        refused = list(task_refusals(spec, path))
        model = spec.compile()
    except Exception as error:
        said = f"MuJoCo cannot load {path}: {error}"
        raise Unreadable(said, "form", key="accept", value=words[0], path=path) from error
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    reasons = group_reasons(accept(model))
    if refused:
        print(f"no task takes {path} as it is, on any engine:")
        for reason in refused:
            print(f"- it {reason}")
        if _may_walk(path):
            print(f"if it is a robot on legs, it is taken as it is by task=Walk robot={path}")
    if reasons:
        does = "" if refused else "; sim=mujoco does, and sim=mujoco_warp what MuJoCo Warp covers"
        print(f"sim=fused does not simulate {path}{does}:")
        for phrase in reasons:
            print(f"- {phrase}")
    if not refused and not reasons:
        print(f"sim=fused simulates {path}")
    return 1 if refused or reasons else 0


def _may_walk(path: Path) -> bool:
    """Returns whether ``task=Walk`` reads a file as a robot whose base floats."""
    from rlgpu.robots.floating import read_floating  # noqa: PLC0415

    try:
        read_floating(path)
    except ValueError:
        return False
    return True
