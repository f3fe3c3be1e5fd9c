"""Reports updates that take no optimiser step: training then goes on without learning anything."""

from __future__ import annotations

from rlgpu.config import Config
from rlgpu.learner.progress import KL_STOP_FACTOR
from rlgpu.training.metrics import IterationRecord


class IdleUpdates:
    """Counts such updates of PPO; the first is reported, and from the second on why."""

    def __init__(self, config: Config) -> None:
        """Starts with none.

        Args:
            config: The run's configuration.
        """
        self._train, self._expected = config.train, config.algorithm != "PPO"
        self._count = 0

    def report(self, record: IterationRecord) -> str | None:
        """Returns the line to show after an iteration, None for most.

        DQN takes no step until it has seen ``train.dqn.learning_starts`` transitions.
        """
        update = record.numbers.update
        if self._expected or update.epochs > 0:
            return None
        self._count += 1
        if self._count == 1:
            return f"iteration {record.iteration}: its update took no optimiser step"
        if self._count not in (2, *(10**i for i in range(1, 10))):
            return None
        return (
            f"iteration {record.iteration}: {self._count} updates took no optimiser step so far: "
            f"the KL of the first minibatch, {update.last_kl:.2g}, is above "
            f"{KL_STOP_FACTOR} x train.target_kl={self._train.target_kl} before any step, so the "
            f"policy that is trained is not the one that acted; {self._advice()}"
        )

    def _advice(self) -> str:
        if self._train.statistics_update != "after":
            return (
                f"train.statistics_update={self._train.statistics_update} changes the observations "
                "in between: use train.statistics_update=after or train.target_kl=0"
            )
        return "use a larger train.target_kl, or 0"
