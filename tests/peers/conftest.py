"""Peers are needed here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

for package in ("pytorch_grad_cam", "torchcam", "captum", "zennit"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'foveal[peers]'")


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Networks this small are only slowed by a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
