"""The machine: captured phases, streams, compilation, reads from the host, threads, caches."""

from rlgpu.device.cache import user_cache
from rlgpu.device.capabilities import has_display, host_may_read, is_gpu, is_out_of_memory
from rlgpu.device.compilation import compiled, host_may_branch, tracing
from rlgpu.device.graphs import Phase, Skipping, working_stream
from rlgpu.device.seeds import derived_seed, environment_seeds, generator_seed
from rlgpu.device.thread_choice import ThreadChoice
from rlgpu.device.threads import num_usable_cores, one_torch_thread, torch_threads

__all__ = [
    "Phase",
    "Skipping",
    "ThreadChoice",
    "compiled",
    "derived_seed",
    "environment_seeds",
    "generator_seed",
    "has_display",
    "host_may_branch",
    "host_may_read",
    "is_gpu",
    "is_out_of_memory",
    "num_usable_cores",
    "one_torch_thread",
    "torch_threads",
    "tracing",
    "user_cache",
    "working_stream",
]
