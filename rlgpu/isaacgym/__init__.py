"""Isaac Gym's Python API on MuJoCo and MuJoCo Warp.

``python -m rlgpu.isaacgym SCRIPT.py ARGS`` runs a script whose ``import isaacgym`` finds this
package; ``rlgpu.isaacgym.install()`` does the same in a notebook. Names and meanings follow the
public documentation and public code; ``docs/isaacgym.md`` says what runs and what differs.
"""

from rlgpu.isaacgym.runner.installation import install

__all__ = ["install"]
