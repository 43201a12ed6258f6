"""Three servers that are killed, with a Redis that is, too."""

from pathlib import Path

import pytest

from tests.cluster.servers import needs_redis
from tests.stories.cluster_story import ClusterStory

pytestmark = needs_redis


@pytest.mark.timeout(180)
def test_three_servers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Servers are killed in turn, Redis too, and a network is cut: every client has every line once."""
    outcome = ClusterStory(tmp_path, kills=4, seed=7).play()
    assert outcome.is_clean, outcome
