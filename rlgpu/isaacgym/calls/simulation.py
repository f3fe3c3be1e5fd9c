"""Calls that create, step and destroy simulations."""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np
import torch

from rlgpu.isaacgym.calls.base import Calls
from rlgpu.isaacgym.calls.checks import idle, strict
from rlgpu.isaacgym.calls.timers import timed
from rlgpu.isaacgym.records.enums import SimType
from rlgpu.isaacgym.records.scene import Env, Heights, Sim
from rlgpu.isaacgym.records.structs import (
    HeightFieldParams,
    PlaneParams,
    SimParams,
    TriangleMeshParams,
    Version,
)
from rlgpu.isaacgym.runner.notes import Notes
from rlgpu.isaacgym.runner.settings import choose_engine
from rlgpu.isaacgym.runner.without_cuda import ON_CPU
from rlgpu.isaacgym.simulation.engines import build_world
from rlgpu.isaacgym.simulation.terrains import heights_of_mesh
from rlgpu.isaacgym.simulation.world import World


@strict
class SimulationCalls(Calls):
    """Creating, stepping and destroying simulations, their ground and terrain."""

    def create_sim(
        self,
        compute_device: int = 0,
        graphics_device: int = 0,
        type: SimType = SimType.SIM_PHYSX,
        params: SimParams | None = None,
    ) -> Sim:
        """Returns a new simulation.

        Args:
            compute_device: GPU of the physics, used with the GPU pipeline.
            graphics_device: Ignored: drawing uses whatever MuJoCo finds.
            type: ``SIM_PHYSX``.
            params: Settings; copied.

        Raises:
            NotImplementedError: ``type`` is ``SIM_FLEX``.
            ValueError: There is no such device.
        """
        if type == SimType.SIM_FLEX:
            raise NotImplementedError("create_sim: SIM_FLEX is not simulated; use SIM_PHYSX")
        copied = params.__copy__() if params else SimParams()
        device = torch.device("cpu")
        if copied.use_gpu_pipeline and self.settings.cuda_is_cpu:
            self.notes.add(ON_CPU)
        elif copied.use_gpu_pipeline:
            device = torch.device("cuda", max(compute_device, 0))
        engine = choose_engine(self.settings, device)
        is_default = engine == "fused" and self.settings.engine == "auto"
        return Sim(copied, device, engine, self.settings.num_threads, self.notes, is_default)

    def prepare_sim(self, sim: Sim) -> bool:
        """Builds the worlds; tensors can be acquired from now on."""
        world_of(sim)
        sim.prepared = True
        return True

    @timed("physics_sim")
    def simulate(self, sim: Sim) -> None:
        """Advances all environments by ``params.dt``."""
        world_of(sim).simulate()
        sim.prepared = True
        sim.frame_count += 1
        sim.time += sim.params.dt

    @idle
    def fetch_results(self, sim: Sim, wait_for_latest_sim_step: bool = True) -> None:
        """Does nothing: results are there when ``simulate`` returns."""

    def destroy_sim(self, sim: Sim) -> None:
        """Frees the simulation's worlds; its tensors stay readable."""
        if sim.world is not None:
            sim.world.worlds.close()
            sim.world = None
        sim.envs.clear()

    @idle
    def set_sim_device(self, sim: Sim) -> None:
        """Does nothing: tensors carry their device."""

    def get_version(self) -> Version:
        """Returns 1.0, Isaac Gym Preview 4's version."""
        return Version()

    def get_sim_params(self, sim: Sim) -> SimParams:
        """Returns a copy of the simulation's settings."""
        return sim.params.__copy__()

    def set_sim_params(self, sim: Sim, params: SimParams) -> None:
        """Changes the simulation's settings; of a running one, gravity.

        Raises:
            NotImplementedError: The step of a running simulation would change.
        """
        world = running_world(sim)
        if world is None:
            sim.params = params.__copy__()
            return
        if (params.dt, params.substeps) != (sim.params.dt, sim.params.substeps):
            raise NotImplementedError(
                "set_sim_params: dt and substeps are fixed once the simulation is prepared"
            )
        gravity = torch.tensor(list(params.gravity), device=sim.device)
        if list(params.gravity) != list(sim.params.gravity):
            world.set_gravity(gravity)
        sim.params = params.__copy__()

    def get_frame_count(self, sim: Sim) -> int:
        """Returns how often ``simulate`` was called."""
        return sim.frame_count

    def get_sim_time(self, sim: Sim) -> float:
        """Returns the simulated time [s]."""
        return sim.time

    def get_elapsed_time(self, sim: Sim) -> float:
        """Returns the time since the process began to measure [s]."""
        return time.perf_counter()

    def add_ground(self, sim: Sim, params: PlaneParams) -> None:
        """Adds a ground plane to all environments; before ``prepare_sim``."""
        refuse_late(sim, "add_ground")
        note_restitution(self.notes, params)
        sim.grounds.append(params.__copy__())

    def add_heightfield(self, sim: Sim, samples: np.ndarray, params: HeightFieldParams) -> None:
        """Adds a terrain.

        Args:
            sim: The simulation, not prepared yet.
            samples: Heights, ``nbRows`` times ``nbColumns`` of them, int16; the first dimension
                runs along x.
            params: Scales and material.

        Raises:
            ValueError: There are not as many samples as rows times columns.
        """
        refuse_late(sim, "add_heightfield")
        note_restitution(self.notes, params)
        count = params.nbRows * params.nbColumns
        if samples.size != count or count == 0:
            raise ValueError(
                f"add_heightfield: {samples.size} samples for {params.nbRows} rows and "
                f"{params.nbColumns} columns"
            )
        # Public code calls the samples along x columns, and gives them as the first dimension.
        shape = samples.shape if samples.ndim == 2 else (params.nbColumns, params.nbRows)
        values = np.asarray(samples, dtype=float).reshape(shape) * params.vertical_scale
        sim.terrains.append(
            Heights(
                values,
                params.row_scale,
                params.column_scale,
                params.transform.__copy__(),
                params.dynamic_friction,
            )
        )

    def add_triangle_mesh(
        self, sim: Sim, vertices: np.ndarray, triangles: np.ndarray, params: TriangleMeshParams
    ) -> None:
        """Adds a terrain of triangles, which must be the surface of heights over a plane.

        Args:
            sim: The simulation, not prepared yet.
            vertices: Three numbers each [m], float32.
            triangles: Three vertices each, uint32.
            params: Counts and material.
        """
        refuse_late(sim, "add_triangle_mesh")
        note_restitution(self.notes, params)
        # A mesh of millions of triangles keeps its dtypes, which saves gigabytes.
        points, faces = np.asarray(vertices).reshape(-1, 3), np.asarray(triangles).reshape(-1, 3)
        if not np.issubdtype(faces.dtype, np.integer):
            faces = faces.astype(np.int64)
        values, steps, corner = heights_of_mesh(points, faces, self.notes)
        pose = params.transform.__copy__()
        pose.p = pose.transform_point(corner)
        sim.terrains.append(Heights(values, *steps, pose, params.dynamic_friction))

    def get_sim_actor_count(self, sim: Sim) -> int:
        """Returns the number of actors in all environments."""
        return sum(len(env.actors) for env in sim.envs)

    def get_sim_rigid_body_count(self, sim: Sim) -> int:
        """Returns the number of bodies in all environments."""
        return sum(env.num_bodies for env in sim.envs)

    def get_sim_dof_count(self, sim: Sim) -> int:
        """Returns the number of degrees of freedom in all environments."""
        return sum(env.num_dofs for env in sim.envs)

    def get_sim_force_sensor_count(self, sim: Sim) -> int:
        """Returns the number of force sensors in all environments."""
        return sum(len(a.asset.sensors) for env in sim.envs for a in env.actors)

    def get_env_count(self, sim: Sim) -> int:
        """Returns the number of environments."""
        return len(sim.envs)

    def get_env(self, sim: Sim, index: int) -> Env:
        """Returns an environment by its index."""
        return sim.envs[index]


def world_of(sim: Sim) -> World:
    """Returns the simulation's worlds, building them on first use."""
    running = running_world(sim)
    if running is None:
        sim.world = running = build_world(sim)
    return running


def running_world(sim: Sim) -> World | None:
    """Returns the simulation's worlds, None before they are built."""
    return cast("World | None", sim.world)


def refuse_late(sim: Sim, call: str) -> None:
    """Refuses a call that changes what the worlds consist of once the simulation is prepared.

    Worlds that were only built to answer a question about poses are given up and built again.
    """
    if sim.world is not None and not sim.prepared:
        sim.world = None
    if sim.world is not None:
        raise RuntimeError(f"{call}: the simulation is prepared; call it before prepare_sim")


def note_restitution(notes: Notes, *materials: Any) -> None:
    """Says that restitution is ignored if a material has any."""
    if any(material.restitution > 0 for material in materials):
        notes.add("restitution is ignored: MuJoCo's contacts do not bounce by a coefficient")
