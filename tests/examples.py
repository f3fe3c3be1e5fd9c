"""How many random examples a test draws: a tenth in ``make test``, all in ``make test-all``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

THOROUGH = "thorough"
settings.register_profile(THOROUGH)


def examples(number: int) -> settings:
    """Returns settings for a number of random examples, the same ones in every run.

    ``--hypothesis-profile=thorough`` draws all of them, any other profile a tenth.
    """
    is_thorough = settings.get_current_profile_name() == THOROUGH
    return settings(
        max_examples=number if is_thorough else number // 10,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
