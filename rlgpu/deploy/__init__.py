"""Takes a trained policy to other programs: files, their description, and checks of both."""

from rlgpu.deploy.check import Difference, compare
from rlgpu.deploy.description import describe
from rlgpu.deploy.export import export
from rlgpu.deploy.policy import DeployedPolicy

__all__ = ["DeployedPolicy", "Difference", "compare", "describe", "export"]
