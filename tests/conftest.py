import os
import secrets

import pytest
import torch

# Two test processes share two cores; more threads each would only wait for one another.
torch.set_num_threads(1)


def pytest_configure() -> None:
    """What tests draw at random they draw by this; worker processes inherit it."""
    os.environ.setdefault("PLIE_SEED", str(secrets.randbelow(2**32)))


def pytest_report_header() -> str:
    return f"drawn at random by PLIE_SEED={os.environ['PLIE_SEED']}"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
