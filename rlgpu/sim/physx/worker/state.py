"""Steps the simulation: hands resets and targets over, simulates, reads the results.

Isaac Gym's rules that shape it: one setter of each kind in a step, as a second one before
``simulate`` replaces the first; efforts, targets and forces again before every ``simulate``; states
refreshed after it and never between a setter and it; tensors handed over stay alive.
"""

from typing import Any, Dict, List, Optional, Tuple

from isaacgym import gymapi

from .driver import Driver
from .memory import Transfer
from .protocol import INPUTS, Place
from .refusal import Refused
from .scene import Built

RESULTS = {
    "root": ("actor_root_state", "refresh_actor_root_state_tensor"),
    "dof": ("dof_state", "refresh_dof_state_tensor"),
    "bodies": ("rigid_body_state", "refresh_rigid_body_state_tensor"),
    "contacts": ("net_contact_force", "refresh_net_contact_force_tensor"),
    "wrenches": ("force_sensor", "refresh_force_sensor_tensor"),
}
"""Slots of results: the name in Isaac Gym's ``acquire_..._tensor``, and what refreshes it."""


class Stepper:
    """A prepared simulation with its tensors."""

    def __init__(
        self,
        built: Built,
        scene: Dict[str, Any],
        slots: Dict[str, Place],
        transfer: Transfer,
        driver: Optional[Driver],
        gpu: int,
    ) -> None:
        """Acquires the tensors that the client wants.

        Args:
            built: The simulation.
            scene: What the client described.
            slots: What lies where.
            transfer: Copies to and from the slots.
            driver: The driver, if tensors are on a GPU.
            gpu: Index of that GPU, or -1.
        """
        self._gym, self._sim = built.gym, built.sim
        self._decimation: int = scene["decimation"]
        self._transfer, self._gpu, self._slots = transfer, gpu, slots
        self._results: List[Tuple[str, Any, Any]] = []
        for name, (acquire, refresh) in RESULTS.items():
            if name in slots:
                tensor = getattr(self._gym, f"acquire_{acquire}_tensor")(self._sim)
                _check(name, tensor, slots[name], gpu)
                self._results.append((name, tensor, getattr(self._gym, refresh)))
        self._staging: Dict[str, int] = {}
        self._inputs: Dict[str, Any] = {}
        for name in INPUTS:
            if name not in slots or name == "reset_count":
                continue
            if transfer.is_direct:
                address = transfer.address(name)
            else:
                assert driver is not None
                with driver:
                    address = driver.allocate(slots[name].num_bytes)
                self._staging[name] = address
            self._inputs[name] = descriptor(address, slots[name], gpu)
        self._held = [name for name in ("efforts", "positions", "forces") if name in slots]

    def step(self, has_resets: bool) -> None:
        """Advances all environments by one control step.

        Args:
            has_resets: Whether the client wants environments reset first.
        """
        self._transfer.begin()
        if has_resets:
            self._reset()
        for name in self._held:
            self._ready(name)
        for _ in range(self._decimation):
            self._drive()
            self._gym.simulate(self._sim)
            if self._gpu < 0:
                self._gym.fetch_results(self._sim, True)
        self._read()

    def _ready(self, name: str) -> Any:
        """Returns the tensor of an input, after copying it where Isaac Gym reads it."""
        if name in self._staging:
            self._transfer.fetch(name, self._staging[name])
        return self._inputs[name]

    def _reset(self) -> None:
        count = self._transfer.read_int("reset_count")
        if count == 0:
            return
        gym, sim = self._gym, self._sim
        for name, write in (
            ("reset_root", gym.set_actor_root_state_tensor_indexed),
            ("reset_dof", gym.set_dof_state_tensor_indexed),
        ):
            if name in self._inputs:
                ids = name + "_ids"
                actors = count * self._slots[ids].slot.shape[1]
                _need(write(sim, self._ready(name), self._ready(ids), actors))

    def _drive(self) -> None:
        gym, sim, inputs = self._gym, self._sim, self._inputs
        if "efforts" in inputs:
            _need(gym.set_dof_actuation_force_tensor(sim, inputs["efforts"]))
        if "positions" in inputs:
            _need(gym.set_dof_position_target_tensor(sim, inputs["positions"]))
        if "forces" in inputs:
            forces = inputs["forces"]
            _need(gym.apply_rigid_body_force_tensors(sim, forces, None, gymapi.ENV_SPACE))

    def _read(self) -> None:
        for _, _, refresh in self._results:
            _need(refresh(self._sim))
        for name, tensor, _ in self._results:
            self._transfer.store(name, tensor.data_address)
        self._transfer.end()


def descriptor(address: int, place: Place, gpu: int) -> Any:
    """Returns Isaac Gym's description of an array, made without torch.

    Args:
        address: Where it is.
        place: Its type and shape.
        gpu: Index of the GPU that it is on, or -1.
    """
    types = {"f4": gymapi.DTYPE_FLOAT32, "i4": gymapi.DTYPE_UINT32}
    tensor = gymapi.Tensor()
    tensor.data_address = address
    tensor.device = gpu
    tensor.dtype = types[place.slot.kind]
    if place.slot.kind == "i4":
        tensor.shape = [place.num_bytes // 4]
    else:
        tensor.shape = list(place.slot.shape)
    tensor.own_data = False
    return tensor


def _need(done: bool) -> None:
    if not done:
        raise Refused("Isaac Gym refused to set or to refresh a tensor", "tensor")


def _check(name: str, tensor: Any, place: Place, gpu: int) -> None:
    if tensor is None:
        raise Refused(f"Isaac Gym has no tensor of {name}", "tensor")
    if tensor.device != gpu:
        # It says so in its output only.
        raise Refused("Isaac Gym fell back to the CPU", "no_driver")
    count = 1
    for length in tensor.shape:
        count *= length
    if count * 4 != place.num_bytes:
        raise Refused(
            f"Isaac Gym's tensor of {name} has shape {tuple(tensor.shape)}, expected "
            f"{place.slot.shape}",
            "tensor",
        )
