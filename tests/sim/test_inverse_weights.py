"""Constants derived from masses on the device, against MuJoCo's own function."""

from __future__ import annotations

from pathlib import Path

import mujoco
import pytest
import torch
from mujoco.batch import Batch

from rlgpu.sim.mujoco.fused.inverse_weights import DERIVED_FROM, InverseWeights
from rlgpu.sim.mujoco.fused.parameter_tables import model_field

ASSETS = Path(__file__).parents[2] / "tasks" / "assets"
BALLS = """
<mujoco><worldbody>
  <body pos="0 0 1"><joint type="ball"/><geom size=".1" pos=".2 0 0"/>
    <body pos="0 .3 0"><joint name="turn" axis="0 0 1"/><geom type="box" size=".1 .2 .3"/>
      <body><geom size=".05" pos="0 0 .4"/></body></body></body>
  <body><joint name="slide" type="slide" armature="1"/><geom size=".1"/></body>
  <body pos="2 0 0"><freejoint/><geom size=".1" pos=".1 0 0"/><site name="end"/></body>
  <body><geom size=".1"/></body><site name="hook"/>
</worldbody><tendon>
  <fixed armature="0.3"><joint joint="turn" coef="2"/><joint joint="slide" coef="-1"/></fixed>
  <spatial><site site="hook"/><site site="end"/></spatial>
</tendon></mujoco>
"""
DERIVED = ("body_invweight0", "dof_invweight0", "tendon_invweight0", "body_subtreemass")
CPU = torch.device("cpu")


@pytest.mark.parametrize("asset", ["balls", "ant", "cartpole", "g1", "franka_cube_stack"])
def test_they_equal_what_mujoco_derives(asset) -> None:
    """All kinds of joints and tendons, welded and fixed bodies; four worlds of other masses."""
    model = (
        mujoco.MjModel.from_xml_string(BALLS)
        if asset == "balls"
        else mujoco.MjModel.from_xml_path(str(ASSETS / f"{asset}.xml"))
    )
    g = torch.Generator().manual_seed(0)
    factor = 0.5 + torch.rand(4, model.nbody, generator=g, dtype=torch.float64)
    moved = torch.randn(4, model.nbody, 3, generator=g, dtype=torch.float64)
    has_room = torch.from_numpy(model.body_simple == 0)[None, :, None]  # MuJoCo refuses others
    turned = torch.from_numpy(model.body_iquat) + 0.3 * has_room * torch.randn(
        4, model.nbody, 4, generator=g, dtype=torch.float64
    )
    fields = {
        "body_iquat": turned / turned.norm(dim=-1, keepdim=True),
        "body_mass": torch.from_numpy(model.body_mass) * factor,
        "body_inertia": torch.from_numpy(model.body_inertia) * factor[..., None],
        "body_ipos": torch.from_numpy(model.body_ipos) + 0.01 * moved * has_room,
        "dof_armature": torch.from_numpy(model.dof_armature).expand(4, -1) * factor[:, :1],
    }
    batch = Batch(model, 4, 1)
    for name, values in fields.items():
        batch.expand(name)[:] = values.numpy()
    wanted = {name: batch.expand(name) for name in DERIVED if getattr(model, name).size}
    batch.set_const()
    found = InverseWeights(model, CPU).of(fields)
    for name, values in wanted.items():
        torch.testing.assert_close(
            found[name], torch.from_numpy(values.copy()), rtol=1e-9, atol=1e-12
        )


def test_what_does_not_differ_is_the_models_own() -> None:
    """Without any field, one row as the compiler wrote it."""
    model = mujoco.MjModel.from_xml_path(str(ASSETS / "ant.xml"))
    fields = {name: model_field(model, name) for name in DERIVED_FROM}
    found = InverseWeights(model, CPU).of(fields)
    own = torch.from_numpy(model.dof_invweight0)[None]
    torch.testing.assert_close(found["dof_invweight0"], own, rtol=1e-9, atol=1e-12)
