"""One physical statement for each public task, with bounds from its physics."""

from __future__ import annotations

from functools import cached_property, partial

import torch
from forces import G, both, drives_approach_their_targets, friction_slows_it, weighs_what_it_should

from rlgpu.isaacgym.api import gymapi, gymtorch


class Rollout:
    """A public task and the states of its environments, read by Isaac Gym's API."""

    def __init__(self, env):
        self.env, self.gym, self.sim = env, env.gym, env.sim
        wrap = gymtorch.wrap_tensor
        self.num_envs, self.dt = env.num_envs, env.sim.params.dt
        roots = wrap(self.gym.acquire_actor_root_state_tensor(self.sim))
        self.roots = roots.view(self.num_envs, -1, 13)
        self.dofs = wrap(self.gym.acquire_dof_state_tensor(self.sim)).view(self.num_envs, -1, 2)
        bodies = wrap(self.gym.acquire_rigid_body_state_tensor(self.sim))
        self.bodies = bodies.view(self.num_envs, -1, 13)
        self.fresh = torch.ones(self.num_envs, dtype=torch.bool)
        """Environments in which the last step began an episode."""
        self._ended = torch.ones(self.num_envs, dtype=torch.bool)

    @cached_property
    def contacts(self):
        """Net contact forces on bodies [N], shape [N, B, 3]; some tasks do not collect them."""
        forces = self.gym.acquire_net_contact_force_tensor(self.sim)
        return gymtorch.wrap_tensor(forces).view(self.num_envs, -1, 3)

    def step(self, scale=0.0):
        """Steps with actions of zero, or with random ones up to a scale."""
        actions = scale * (2 * torch.rand(self.num_envs, self.env.num_actions) - 1)
        found = self.env.step(actions)
        observations, rewards, done = found[0], found[-3], found[-2].bool().clone()
        values = observations.values() if isinstance(observations, dict) else [observations]
        assert all(torch.isfinite(value).all() for value in [*values, rewards]), "not finite"
        # IsaacGymEnvs resets in the step after the last; legged_gym in the last.
        self.fresh = self._ended if hasattr(self.env, "progress_buf") else done
        self._ended = done

    def properties(self, call):
        """Returns what a call says of all actors of each environment."""
        found = []
        for env in self.sim.envs:
            actors = range(self.gym.get_actor_count(env))
            found.append([value for a in actors for value in call(env, a)])
        return found

    def masses(self):
        """Returns the masses of all bodies [kg], shape [N, B]."""
        rows = self.properties(self.gym.get_actor_rigid_body_properties)
        return torch.tensor([[body.mass for body in row] for row in rows])

    def energy(self, gravity=G):
        """Returns the mechanical energy of each environment [J], shape [N].

        Motion and height of all bodies, armatures, and springs of joints without a drive.
        """
        rows = self.properties(self.gym.get_actor_rigid_body_properties)
        inertias = torch.tensor([[body.inertia.rows() for body in row] for row in rows])
        centres = torch.tensor([[list(body.com) for body in row] for row in rows])
        position, quat = self.bodies[..., :3], self.bodies[..., 3:7]
        rotation = torch.stack([_turn(quat, axis) for axis in torch.eye(3)], dim=-1)
        turning = torch.einsum("nbji,nbj->nbi", rotation, self.bodies[..., 10:])
        spin = torch.einsum("nbi,nbij,nbj->n", turning, inertias, turning)
        height = (position + torch.einsum("nbij,nbj->nbi", rotation, centres))[..., 2]
        speed = self.bodies[..., 7:10].square().sum(-1)
        moving = (self.masses() * (gravity * height + 0.5 * speed)).sum(-1) + 0.5 * spin
        drives = self.properties(self.gym.get_actor_dof_properties)
        names = ("armature", "stiffness", "driveMode")
        table = torch.tensor([[[float(dof[n]) for n in names] for dof in row] for row in drives])
        table = table.view(self.num_envs, -1, 3)
        is_passive = (table[..., 2] == int(gymapi.DOF_MODE_NONE)) | (
            table[..., 2] == int(gymapi.DOF_MODE_EFFORT)
        )
        q, v = self.dofs[..., 0], self.dofs[..., 1]
        stored = table[..., 0] * v.square() + table[..., 1] * is_passive * q.square()
        return moving + 0.5 * stored.sum(-1)

    def obeys_limits(self, give, steps=100):
        """Random actions keep joints within their limits of position and speed.

        A stop of MuJoCo's is as stiff as its joint is heavy: inertia / (0.02 s)^2.

        Args:
            give: By how much motors may push beyond a limit [rad or m].
            steps: Steps to watch.
        """
        rows = self.properties(self.gym.get_actor_dof_properties)
        names = ("hasLimits", "lower", "upper", "velocity")
        limits = torch.tensor([[[float(dof[n]) for n in names] for dof in row] for row in rows])
        has, low, high, most = limits.view(self.num_envs, -1, 4).unbind(-1)
        for _ in range(steps):
            self.step(1.0)
            q, v = self.dofs.unbind(-1)
            beyond = torch.maximum(low - q, q - high) * has
            assert (beyond < give).all(), beyond.max(dim=0)
            assert (v.abs() <= most * 1.001 + 1e-3).all(), (v.abs() - most).max(dim=0)

    def carried_share(self, steps):
        """Steps without actions; returns the share of the weight that contacts carry, shape [N].

        The mean over all calls of ``simulate``, of which a step of some tasks has several.
        """
        simulate, carried = self.gym.simulate, []

        def watched(sim):
            simulate(sim)
            carried.append(self.contacts[..., 2].sum(-1))

        self.gym.simulate = watched
        for _ in range(steps):
            self.step()
        del self.gym.simulate
        return torch.stack(carried).mean(0) / (self.masses().sum(-1) * G)


def _turn(quat, axis):
    """Turns an axis by quaternions (x, y, z, w)."""
    vector, w = quat[..., :3], quat[..., 3:]
    axis = axis.expand_as(vector)
    return axis + 2 * torch.linalg.cross(
        vector, torch.linalg.cross(vector, axis) + w * axis, dim=-1
    )


def up(run, actor=0):
    """Returns the height of the tip of a root's vertical axis: the cosine of its tilt."""
    return _turn(run.roots[:, actor, 3:7], torch.tensor([0.0, 0.0, 1.0]))[:, 2]


def energy_does_not_grow(run, steps=150):
    """Without actions, nothing gains energy, within 1 % of m g 1 m.

    Random first poses may overlap. That is pushed apart in the first five steps of an episode.
    """
    weight = run.masses().sum(-1) * G
    age, begun = torch.zeros(2, run.num_envs)
    for _ in range(steps):
        run.step()
        energy, age = run.energy(), torch.where(run.fresh, 0, age + 1)
        begun = torch.where(age < 5, energy, begun)
        grown = (energy - begun) / weight
        assert (grown < 0.01).all(), grown


def comes_to_rest(run, steps=300):
    """And it ends at rest on the ground: slower than 2 cm/s, none of its bodies below it."""
    energy_does_not_grow(run, steps)
    speed = run.bodies[..., 7:10].norm(dim=-1)
    assert (speed < 0.02).all(), speed.max()
    assert (run.bodies[..., 2] > 0).all(), run.bodies[..., 2].min()


def falls_freely(run, gravity, steps=15):
    """Without thrust, the root loses gravity times time of its velocity, within 1 %."""
    run.step()
    before, start = run.roots[:, 0, 9].clone(), torch.zeros(run.num_envs)
    for _ in range(steps):
        run.step()
        start += run.dt
        start[run.fresh], before[run.fresh] = 0.0, run.roots[run.fresh, 0, 9]
        lost = before - run.roots[:, 0, 9]
        assert ((lost - gravity * start).abs() <= 0.01 * gravity * start + 1e-4).all(), (
            lost,
            start,
        )
    assert (start > 0).any()


def ball_and_tray_keep_still(run, steps=60):
    """The ball falls with gravity, never gains energy, and the tray holds within 1 cm."""
    tray, begun = torch.zeros(2, run.num_envs)
    fallen = 0
    for _ in range(steps):
        before = run.roots[:, 1].clone()
        run.step()
        ball = run.roots[:, 1]
        falls = ~run.fresh & (ball[:, 2] - run.roots[:, 0, 2] > 0.15)  # its radius is 0.1 m
        lost = (before - ball)[falls, 9]
        assert ((lost - G * run.dt).abs() < 0.01 * G * run.dt + 1e-5).all(), lost
        fallen += len(lost)
        energy = G * ball[:, 2] + 0.5 * ball[:, 7:10].square().sum(-1)
        begun = torch.where(run.fresh, energy, begun)
        assert (energy <= begun * 1.01).all(), (energy, begun)
        tray = torch.where(run.fresh, run.roots[:, 0, 2], tray)
        assert ((run.roots[:, 0, 2] - tray).abs() < 0.01).all(), run.roots[:, 0, 2] - tray
    assert fallen


def stands(run, lean=20.0, steps=125):
    """With default targets it stands: upright, off the ground with its base, its weight on it.

    The ground carries the weight within 5 % over half a second. Then no root tilts by more than
    ``lean`` degrees, moves faster than 0.3 m/s or touches the ground.
    """
    for _ in range(steps):
        run.step()
    share = run.carried_share(25)
    speed, tilt = run.roots[:, 0, 7:10].norm(dim=-1), up(run)
    assert (tilt > torch.cos(torch.deg2rad(torch.tensor(lean)))).all(), tilt
    assert (speed < 0.3).all(), speed
    assert (run.contacts[:, 0].norm(dim=-1) == 0).all(), run.contacts[:, 0]
    assert ((share - 1).abs() < 0.05).all(), share


def falls_no_faster_than_gravity(run, height, start=0.0, steps=150):
    """Biped without a controller: no root is faster than a fall from its height and its start."""
    most = (2 * G * height + start**2) ** 0.5
    for _ in range(steps):
        run.step()
        speed = run.roots[:, 0, 7:10].norm(dim=-1)
        assert (speed < most).all(), speed
        assert (run.bodies[..., 2] > -0.05).all() or run.sim.terrains, run.bodies[..., 2].min()


def rests(run, actors, speed=0.01, settle=120, steps=60, drift=0.005):
    """What lies there stays: after two seconds it is slower than 1 cm/s and drifts less than 5 mm.

    Args:
        run: The task.
        actors: Names of the actors.
        speed: Largest speed [m/s].
        settle: Steps before that.
        steps: Steps in which it is watched.
        drift: Largest change of its height [m].
    """
    ids = [run.gym.find_actor_index(run.sim.envs[0], a, gymapi.DOMAIN_ENV) for a in actors]
    assert min(ids) >= 0, ids
    for _ in range(settle):
        run.step()
    height = run.roots[:, ids, 2].clone()
    for _ in range(steps):
        run.step()
        height[run.fresh] = run.roots[run.fresh][:, ids, 2]
        fast = run.roots[:, ids, 7:10].norm(dim=-1)
        assert (fast < speed).all(), fast
        assert ((run.roots[:, ids, 2] - height).abs() < drift).all(), run.roots[:, ids, 2] - height


def holds_still(run, actors=(), joints=0.05, settle=120):
    """Drives hold their joints: none moves by more than a bound [rad, m] within a second.

    What ``actors`` name rests meanwhile.
    """
    for _ in range(settle):
        run.step()
    before = run.dofs[..., 0].clone()
    for _ in range(60):
        run.step()
        before[run.fresh] = run.dofs[run.fresh][..., 0]
        moved = (run.dofs[..., 0] - before).abs()
        assert (moved < joints).all(), (moved.max(), moved.max(0).values.argmax())
    if actors:
        rests(run, actors, settle=0)


def arm_holds_and_throws_nothing(run):
    """The hand and its arm stay about their targets, and the object is no faster than a fall.

    Drives of 40 N m/rad let an arm of 10 kg m^2 swing for seconds, by the 0.3 rad to either side
    (a tenth of its range) at which resets put it. The task pushes its object with up to 6 m/s^2
    for half a second, so that it may leave the table, from up to 0.9 m:
    (3^2 + 4.2^2)^0.5 = 5.2 m/s.
    """
    object_is_never_thrown(run, most=5.2)
    holds_still(run, joints=0.6, settle=0)


def object_is_never_thrown(run, actor="object", most=3.0, steps=120):
    """The object in a hand is no faster than a fall: 3 m/s is one from 0.46 m."""
    index = run.gym.find_actor_index(run.sim.envs[0], actor, gymapi.DOMAIN_ENV)
    assert index >= 0
    for _ in range(steps):
        run.step()
        speed = run.roots[:, index, 7:10].norm(dim=-1)
        assert (speed < most).all(), speed


shoved = partial(friction_slows_it, speed=6.0)
GIVE = {
    # 15 N m on an ankle of 0.01 kg m^2, and 50 N m on one of 0.02 kg m^2 that also swings
    "isaacgymenvs:Ant": 0.6,
    "isaacgymenvs:HumanoidAMP": 1.5,
}
STATEMENTS = {
    "isaacgymenvs:Cartpole": energy_does_not_grow,
    "isaacgymenvs:Ant": both(comes_to_rest, shoved),
    "isaacgymenvs:Humanoid": energy_does_not_grow,
    "isaacgymenvs:Anymal": both(stands, shoved),
    "isaacgymenvs:AnymalTerrain": partial(stands, lean=40.0),
    "isaacgymenvs:BallBalance": both(
        ball_and_tray_keep_still, partial(friction_slows_it, actor="ball", speed=2.0)
    ),
    "isaacgymenvs:Quadcopter": partial(falls_freely, gravity=G),
    "isaacgymenvs:Ingenuity": partial(falls_freely, gravity=3.721),
    "isaacgymenvs:Trifinger": partial(rests, actors=("object",)),
    "isaacgymenvs:ShadowHand": both(
        object_is_never_thrown, partial(weighs_what_it_should, actor="object")
    ),
    "isaacgymenvs:AllegroHand": object_is_never_thrown,
    "isaacgymenvs:AllegroHandDextremeManualDR": object_is_never_thrown,
    "isaacgymenvs:AllegroHandDextremeADR": object_is_never_thrown,
    "isaacgymenvs:AllegroKuka task/env=reorientation": arm_holds_and_throws_nothing,
    "isaacgymenvs:AllegroKuka task/env=regrasping": arm_holds_and_throws_nothing,
    "isaacgymenvs:AllegroKuka task/env=throw": arm_holds_and_throws_nothing,
    "isaacgymenvs:AllegroKukaTwoArmsLSTM task/env=reorientation": arm_holds_and_throws_nothing,
    "isaacgymenvs:AllegroKukaTwoArmsLSTM task/env=regrasping": arm_holds_and_throws_nothing,
    "isaacgymenvs:FrankaCabinet": both(
        partial(holds_still, actors=("prop0",)),
        partial(
            drives_approach_their_targets,
            target=lambda env: env.franka_dof_targets[:, :7],
            constant=80 / 400,
        ),
        partial(weighs_what_it_should, actor="prop0"),
    ),
    "isaacgymenvs:FrankaCubeStack": both(
        partial(holds_still, actors=("cubeA", "cubeB")),
        partial(friction_slows_it, actor="cubeB", speed=0.8),
    ),
    "isaacgymenvs:HumanoidAMP": partial(falls_no_faster_than_gravity, height=1.2, start=3.0),
    "isaacgymenvs:FactoryTaskNutBoltPick": partial(rests, actors=("nut",)),
    "isaacgymenvs:FactoryTaskNutBoltPlace": partial(object_is_never_thrown, actor="nut", most=2.5),
    "isaacgymenvs:FactoryTaskNutBoltScrew": partial(object_is_never_thrown, actor="nut", most=2.5),
    "isaacgymenvs:FactoryTaskInsertion": partial(rests, actors=("plug",)),
    "isaacgymenvs:FactoryTaskGears": partial(
        rests, actors=("gear_small", "gear_medium", "gear_large")
    ),
    # Rewards ask a slow library for the distances of 1000 or 5000 points of each environment.
    "isaacgymenvs:IndustRealTaskPegsInsert task.rl.sdf_reward_num_samples=200": both(
        partial(object_is_never_thrown, actor="plug", most=2.5),
        partial(weighs_what_it_should, actor="plug"),
    ),
    "isaacgymenvs:IndustRealTaskGearsInsert task.rl.sdf_reward_num_samples=200": partial(
        object_is_never_thrown, actor="gear_medium", most=2.5
    ),
    "legged_gym:anymal_c_flat": both(stands, shoved),
    "legged_gym:anymal_c_rough": partial(stands, lean=40.0),
    "legged_gym:anymal_b": partial(stands, lean=40.0),
    "legged_gym:a1": partial(stands, lean=40.0),
    "legged_gym:cassie": partial(falls_no_faster_than_gravity, height=1.0, start=1.0),
    "unitree_rl_gym:go2": both(stands, shoved),
    "unitree_rl_gym:h1": partial(falls_no_faster_than_gravity, height=1.0, start=1.0),
    "unitree_rl_gym:h1_2": partial(falls_no_faster_than_gravity, height=1.05, start=1.0),
    "unitree_rl_gym:g1": partial(falls_no_faster_than_gravity, height=0.8, start=1.0),
}
