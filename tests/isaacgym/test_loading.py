"""Options, scales and limits of assets against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import GYM, close, link, new_sim, urdf

from rlgpu.isaacgym import gymapi

BOX = '<collision><geometry><box size="0.2 0.4 0.6"/></geometry></collision>'
OF_BOX = np.diag([0.4**2 + 0.6**2, 0.2**2 + 0.6**2, 0.2**2 + 0.4**2]) / 12
"""Inertia of the box per kilogram."""


def load(sim, file, **options):
    """Loads a file with options."""
    chosen = gymapi.AssetOptions()
    for name, value in options.items():
        setattr(chosen, name, value)
    return GYM.load_asset(sim, *file, chosen)


def mjcf(tmp_path, text, name="robot.xml"):
    """Writes an MJCF file and returns its folder and name."""
    (tmp_path / name).write_text(f"<mujoco>{text}</mujoco>")
    return str(tmp_path), name


def matrix(body):
    """Returns the inertia of a body's properties."""
    return np.array(body.inertia.rows())


@pytest.mark.parametrize("kind", ["urdf", "mjcf"])
@pytest.mark.parametrize("override_com", [False, True])
@pytest.mark.parametrize("override_inertia", [False, True])
def test_shapes_replace_what_the_options_name(tmp_path, kind, override_com, override_inertia):
    """A box of 2 kg that states the centre (0.3, 0, 0) and moments of 9 keeps its mass."""
    if kind == "urdf":
        file = urdf(tmp_path, link("box", 2.0, (0.3, 0, 0), (9, 9, 9), BOX))
    else:
        file = mjcf(
            tmp_path,
            """<worldbody><body><freejoint/><inertial pos=".3 0 0" mass="2" diaginertia="9 9 9"/>
            <geom type="box" size=".1 .2 .3"/><geom size="1" pos="5 0 0" contype="0"
            conaffinity="0"/></body></worldbody>""",
        )
    asset = load(
        new_sim("mujoco"), file, override_com=override_com, override_inertia=override_inertia
    )
    body = asset.body_properties[0]
    assert body.mass == pytest.approx(2.0)
    close(list(body.com), [0 if override_com else 0.3, 0, 0], atol=1e-9)
    close(matrix(body), 2 * OF_BOX if override_inertia else 9 * np.eye(3), rtol=1e-9, atol=1e-9)
