"""Random small models that combine whatever the fused engine has."""

from __future__ import annotations

import numpy as np

SHAPES = {"sphere": 1, "capsule": 2, "box": 3}
"""Geoms without a search, and how many sizes they have."""
FLAGS = ("limit", "spring", "damper", "gravity", "frictionloss", "filterparent", "clampctrl")


class RandomModel:
    """One to three trees with tendons, equalities, actuators and pairs, as MJCF."""

    def __init__(self, seed: int) -> None:
        """Draws a model, of which MuJoCo's compiler may refuse some."""
        self.rng = np.random.default_rng(seed)
        self.bodies, self.sites, self.wraps, self.geoms = (list[str]() for _ in range(4))
        self.scalars, self.balls, self.tendons = (list[str]() for _ in range(3))
        trees = "".join(self._body(0) for _ in range(self.rng.integers(1, 4)))
        tendons = "".join(self._tendon(i) for i in range(self.rng.integers(4)))
        equalities = "".join(self._equality() for _ in range(self.rng.integers(4)))
        actuators = "".join(self._actuator() for _ in range(self.rng.integers(4)))
        pairs = "".join(self._pair() for _ in range(self.rng.integers(2)))
        disabled = " ".join(f'{flag}="disable"' for flag in FLAGS if self._odds(0.05))
        self.text = f"""<mujoco><compiler angle="radian"/><option integrator="implicitfast"
          timestep="0.002" iterations="300" tolerance="0"
          cone="{self._one("pyramidal", "elliptic")}" impratio="{self._one(1, 3)}"
          density="{self._one(0, 0, 50)}" wind="{self._numbers(3)}"
          noslip_iterations="{self._one(0, 0, 3)}" noslip_tolerance="0"><flag {disabled}/></option>
          <worldbody><geom name="floor" type="plane" size="5 5 1"/>{trees}</worldbody>
          <tendon>{tendons}</tendon><equality>{equalities}</equality>
          <actuator>{actuators}</actuator><contact>{pairs}</contact></mujoco>"""

    def _odds(self, of: float) -> bool:
        return bool(self.rng.random() < of)

    def _one(self, *choices: object) -> object:
        return choices[self.rng.integers(len(choices))]

    def _numbers(self, count: int, scale: float = 1.0) -> str:
        return " ".join(f"{x:.4g}" for x in scale * self.rng.normal(size=count))

    def _new(self, names: list[str], letter: str) -> str:
        names.append(f"{letter}{len(names)}")
        return names[-1]

    def _joint(self) -> str:
        kind = self._one("hinge", "hinge", "slide", "ball")
        some = self.rng.uniform(size=5)
        found = f'pos="{self._numbers(3, 0.05)}" armature="{0.05 * some[0]:.3f}"'
        found += f' damping="{some[1]:.3f}" stiffness="{2 * some[2]:.3f}"'
        if self._odds(0.3):
            found += f' frictionloss="{0.5 * some[3]:.3f}"'
        if self._odds(0.4):
            low = "0" if kind == "ball" else f"{-0.1 - some[4]:.3f}"
            found += f' limited="true" range="{low} {0.2 + some[4]:.3f}"'
        if kind == "ball":
            return f'<joint name="{self._new(self.balls, "b")}" type="ball" {found}/>'
        name = self._new(self.scalars, "j")
        return f'<joint name="{name}" type="{kind}" axis="{self._numbers(3)}" {found}/>'

    def _geom(self) -> str:
        kind = str(self._one(*SHAPES))
        size = " ".join(f"{x:.3f}" for x in self.rng.uniform(0.04, 0.12, SHAPES[kind]))
        return f"""<geom name="{self._new(self.geoms, "g")}" type="{kind}" size="{size}"
          pos="{self._numbers(3, 0.05)}" quat="{self._numbers(4)}"
          mass="{self.rng.uniform(0.2, 2):.3f}" condim="{self._one(1, 3, 4, 6)}"
          friction="{self._one(0.3, 1)} .02 .01"
          margin="{self._one(0, 0, 0.01)}"/>"""

    def _body(self, depth: int) -> str:
        kind = self._one("free", "joints", "joints", "mocap") if depth == 0 else "joints"
        name = self._new(self.bodies, "body")
        inner = "<freejoint/>" if kind == "free" else ""
        if kind == "joints":
            inner = "".join(self._joint() for _ in range(self.rng.integers(depth == 0, 3)))
        inner += self._geom()
        site, wrap = self._new(self.sites, "s"), self._new(self.wraps, "w")
        inner += f"""<site name="{site}" pos="{self._numbers(3, 0.15)}" quat="{self._numbers(4)}"/>
          <geom name="{wrap}" type="{self._one("sphere", "cylinder")}" size=".06 .2" mass="0"
          contype="0" conaffinity="0" pos="{self._numbers(3, 0.05)}" quat="{self._numbers(4)}"/>"""
        if depth < 3 and self._odds(0.6):
            inner += self._body(depth + 1)
        pos = self.rng.uniform([-0.4, -0.4, 0.1], [0.4, 0.4, 0.5]) if depth == 0 else None
        place = self._numbers(3, 0.15) if pos is None else " ".join(f"{x:.3f}" for x in pos)
        mocap = 'mocap="true"' if kind == "mocap" else ""
        return f'<body name="{name}" pos="{place}" quat="{self._numbers(4)}" {mocap}>{inner}</body>'

    def _tendon(self, number: int) -> str:
        some = self.rng.uniform(size=4)
        found = f'name="t{number}" stiffness="{20 * some[0]:.3f}" damping="{some[1]:.3f}"'
        if self._odds(0.3):
            found += f' frictionloss="{some[2]:.3f}"'
        if self._odds(0.3):
            found += f' limited="true" range="-.1 {0.1 + 0.3 * some[3]:.3f}"'
        if self.scalars and self._odds(0.5):
            joints = self.rng.permutation(self.scalars)[:3]
            self.tendons.append(f"t{number}")
            parts = (f'<joint joint="{j}" coef="{self._numbers(1)}"/>' for j in joints)
            return f"<fixed {found}>{''.join(parts)}</fixed>"
        if len(self.sites) < 2:
            return ""
        first, second = self.rng.permutation(self.sites)[:2]
        wrap = f'<geom geom="{self._one(*self.wraps)}"/>' if self._odds(0.6) else ""
        path = f'<site site="{first}"/>{wrap}<site site="{second}"/>'
        self.tendons.append(f"t{number}")
        return f'<spatial {found}>{path}<pulley divisor="2"/>{path}</spatial>'

    def _equality(self) -> str:
        kind = self._one("joint", "tendon", "connect", "weld")
        solref = f'solref="{self._one(".02 1", ".1 .5")}"'
        if kind in ("joint", "tendon"):
            names = self.scalars if kind == "joint" else self.tendons
            if len(names) < 2:
                return ""
            first, second = self.rng.permutation(names)[:2]
            poly = self._numbers(5, 0.3)
            return f'<{kind} {kind}1="{first}" {kind}2="{second}" polycoef="{poly}" {solref}/>'
        ends = [*self.bodies, "world"]
        first, second = self.rng.permutation(ends)[:2]
        return f"""<{kind} body1="{first}" body2="{second}" anchor="{self._numbers(3, 0.1)}"
          {solref}/>"""

    def _actuator(self) -> str:
        targets = [f'joint="{j}"' for j in self.scalars + self.balls]
        targets += [f'tendon="{t}"' for t in self.tendons]
        if not targets:
            return ""
        dynamics = self._one("none", "integrator", "filter", "filterexact")
        return f"""<general {self._one(*targets)} gear="{self._numbers(3)} 0 0 0"
          dyntype="{dynamics}" dynprm=".05" gaintype="affine" gainprm="{self._numbers(3)}"
          biastype="affine" biasprm=".1 -2 -.3" ctrllimited="true" ctrlrange="-1 1"
          forcelimited="{self._one("true", "false")}" forcerange="-2 2"/>"""

    def _pair(self) -> str:
        first, second = self.rng.permutation([*self.geoms, "floor"])[:2]
        return f"""<pair geom1="{first}" geom2="{second}" condim="{self._one(3, 4, 6)}"
          friction=".5 .7 .01 .002 .001" margin=".01"/>"""
