import os
import secrets

import pytest
import torch

# Test processes share the cores; more threads each would only wait for one another.
torch.set_num_threads(1)


def pytest_configure() -> None:
    """What tests draw at random they draw by this; worker processes inherit it."""
    os.environ.setdefault("PLIE_SEED", str(secrets.randbelow(2**32)))


# Minutes each, most of it spent waiting for processes: begun last, one would be waited for alone.
LONG = ["test_ray.py", "test_study_store.py", "test_play_page.py", "test_avx512.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_report_header() -> str:
    return f"drawn at random by PLIE_SEED={os.environ['PLIE_SEED']}"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    # Not torch.manual_seed: without a GPU it keeps the whole stack, for when one is used, 3 ms.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)
