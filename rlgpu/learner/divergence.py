"""Other libraries' meanings of the KL divergence, for schedules and stopping tuned for them."""

from __future__ import annotations

import torch
from torch import Tensor

from rlgpu.config import TrainConfig
from rlgpu.nn.distributions import Distribution
from rlgpu.ops import PpoBatch


class Divergence:
    """The KL divergence by an estimate and with a reference other than the loss's own."""

    def __init__(self, config: TrainConfig, distribution: Distribution) -> None:
        """Starts without a visit.

        Args:
            config: Contains ``kl_estimate`` and ``kl_reference``.
            distribution: Of the actions.
        """
        self._config, self._distribution = config, distribution
        self._visited: dict[int, Tensor] = {}

    @classmethod
    def if_needed(cls, config: TrainConfig, distribution: Distribution) -> Divergence | None:
        """Returns one, or None where the loss computes what is asked for."""
        usual = (config.kl_estimate, config.kl_reference) == ("forward", "rollout")
        return None if usual else cls(config, distribution)

    def begin(self) -> None:
        """Forgets all visits: the acting policy has changed."""
        self._visited.clear()

    @torch.no_grad()
    def of(self, index: int, outputs: Tensor, batch: PpoBatch) -> Tensor:
        """Returns the mean divergence of a minibatch, shape [].

        Args:
            index: Index of the minibatch.
            outputs: Of the network now, shape [B, P].
            batch: The minibatch.
        """
        distribution, config = self._distribution, self._config
        if config.kl_estimate == "sampled":
            change = distribution.log_prob(outputs, batch.actions) - batch.log_probs
            return (change.exp() - 1.0 - change).mean()
        new = distribution.snapshot(outputs)
        old = self._visited.get(index)
        if old is None:
            old = distribution.snapshot(batch.parameters, old=True)
        if config.kl_reference == "last_visit":
            self._visited[index] = new
        pair = (old, new) if config.kl_estimate == "forward" else (new, old)
        return distribution.divergence(*pair).mean()
