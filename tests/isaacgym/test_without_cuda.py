"""Scripts that ask for CUDA run on the CPU of a machine without a GPU, in their own processes."""

from __future__ import annotations

import pytest
import torch
from running import run_script

from rlgpu.isaacgym import install
from tests.refusals import names

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")

EAGER = """
import isaacgym, torch, io
device = torch.device("cuda:0")
network = torch.nn.Linear(3, 2, device="cuda").cuda().to(device)
saved = io.BytesIO()
torch.save(network.state_dict(), saved)
saved.seek(0)
x = torch.zeros(4, 3, device="cuda:0", pin_memory=True).cuda(non_blocking=True)
x = x.to(0).to("cuda", torch.half)
made = (
    network(x.float()), x, x.to(torch.float64), torch.ones_like(x, device=device),
    x.new_tensor([1.0], device="cuda:1"), torch.tensor([1], device=0), torch.arange(3).pin_memory(),
    torch.load(saved, map_location="cuda:0")["weight"], torch.cuda.FloatTensor([1.0]),
    torch.zeros(1, dtype=torch.int64).type(torch.cuda.FloatTensor),
    torch.zeros(1).type("torch.cuda.LongTensor"), torch.rand(2, device=None),
    torch.arange(3).to(device="cuda", dtype=torch.int16),
)
print({str(t.device) for t in made}, [str(t.dtype)[6:] for t in made])
print(torch.cuda.is_available(), torch.device("cuda").type)
"""


def test_tensors_and_networks_are_on_the_cpu(tmp_path):
    """Devices in every form give CPU tensors of the asked types, and one remark."""
    done = run_script(tmp_path, EAGER)
    assert done.returncode == 0, done.stderr
    types = (
        "float32 float16 float64 float16 float16 int64 int64 float32 float32 float32 int64 float32 "
        "int16"
    )
    assert done.stdout.splitlines()[0] == f"{{'cpu'}} {types.split()}"
    assert done.stdout.splitlines()[1] == "False cuda"
    assert done.stderr.count("isaacgym: ") == 1


SCRIPTED = """
import isaacgym, torch

def inner(number: int, device: str):
    return torch.rand(number, device=device)

@torch.jit.script
def random(number: int, device: str, other: torch.device):
    total = inner(number, device)
    if number > 1:
        total = total + torch.ones(number, device="cuda:0") + torch.zeros(number, device=other)
    return total.to(other).to(device, torch.float64)

@torch.jit.script
def nested(x: torch.Tensor):
    return random(3, "cuda", torch.device("cuda:1")).to(x.device) + x.to(device="cuda")

sums = random(3, "cuda:0", torch.device("cuda"))
for _ in range(3):
    both = nested(torch.full((3,), 10.0))
print(sums.device, sums.dtype, both.device, bool((sums >= 1).all()), bool((both >= 11).all()))
"""


def test_scripted_functions_are_on_the_cpu(tmp_path):
    """Devices in arguments, in constants, in branches and in functions that are called."""
    done = run_script(tmp_path, SCRIPTED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cpu", "torch.float64", "cpu", "True", "True"]


CALLS = """
import isaacgym, torch
torch.cuda.set_device(1)
torch.cuda.init()
start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
stream = torch.cuda.Stream()
with torch.cuda.device("cuda:0"), torch.cuda.stream(stream):
    start.record()
    torch.cuda.nvtx.range_push("work")
    torch.zeros(100).sum()
    torch.cuda.nvtx.range_pop()
    end.record(torch.cuda.current_stream())
torch.cuda.current_stream().wait_stream(stream)
torch.cuda.synchronize()
torch.cuda.empty_cache()
torch.cuda.reset_peak_memory_stats()
torch.cuda.manual_seed_all(0)
torch.cuda.set_rng_state(torch.cuda.get_rng_state())
print(torch.cuda.current_device(), torch.cuda.memory_allocated(), torch.cuda.get_device_name(0))
print(0.0 < start.elapsed_time(end) < 1000.0, end.query())
"""


def test_calls_of_torch_cuda_return(tmp_path):
    """Streams, events, seeds and memory counts have their meaning on the CPU."""
    done = run_script(tmp_path, CALLS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "0", "cpu", "True", "True"]
    assert done.stderr.count("isaacgym: ") == 1


def test_a_choice_that_does_not_exist_is_refused():
    """The message names it and the choices."""
    with pytest.raises(ValueError) as refusal:
        install(without_gpu="gpu")
    assert names(refusal.value, "without_gpu", "gpu", "error", "cpu")


SIMULATION = """
from isaacgym import gymapi, gymtorch, gymutil
import torch
args = gymutil.parse_arguments()
params = gymapi.SimParams()
params.use_gpu_pipeline = args.use_gpu_pipeline
gym = gymapi.acquire_gym()
sim = gym.create_sim(args.compute_device_id, 0, args.physics_engine, params)
env = gym.create_env(sim, gymapi.Vec3(), gymapi.Vec3(), 1)
gym.create_actor(env, gym.create_sphere(sim, 0.1, None), gymapi.Transform(), "ball", 0, 0)
gym.prepare_sim(sim)
roots = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))
wanted = torch.ones(1, 13, device=args.sim_device)
gym.set_actor_root_state_tensor(sim, gymtorch.unwrap_tensor(wanted))
print(args.sim_device, args.use_gpu_pipeline, roots.device, sim.engine, roots[0, 0].item())
"""


def test_a_simulation_on_the_gpu_pipeline_is_on_the_cpu(tmp_path):
    """Default arguments, which ask for a GPU, give a simulation on the fused engine."""
    done = run_script(tmp_path, SIMULATION)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cuda:0", "True", "cpu", "fused", "1.0"]
    assert done.stderr.count("no GPU") == 1


CONDITIONS = """
import isaacgym, torch

@torch.jit.script
def choose(condition: torch.Tensor, x: torch.Tensor):
    if x.sum() > 0:
        return torch.where(condition, x, -x)
    return torch.where(condition, 1.0, x) + torch.where(condition)[0].sum()

whole = torch.tensor([2, 0, -1])
for condition in (whole, torch.tensor([0.5, 0.0, 1.0]), whole != 0):
    for _ in range(3):
        print(choose(condition, torch.arange(1.0, 4.0)).tolist(), end=" ")
    print(choose(condition, -torch.arange(1.0, 4.0)).tolist(), end=" ")
    print(torch.where(condition, 1, 0).tolist(), torch.where(condition)[0].tolist())
"""


def test_conditions_may_be_numbers(tmp_path):
    """Numbers other than 0 are true, in scripted functions and outside."""
    done = run_script(tmp_path, CONDITIONS)
    assert done.returncode == 0, done.stderr
    line = "[1.0, -2.0, 3.0] " * 3 + "[3.0, 0.0, 3.0] [1, 0, 1] [0, 2]"
    assert done.stdout.splitlines() == [line] * 3
