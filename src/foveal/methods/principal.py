"""The first principal direction of a feature map, without a full singular value decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.methods.axes import behind_first

if TYPE_CHECKING:
    from jaxtyping import Float

_SMALL = 128  # below this side a dense eigendecomposition is the fastest there is
_BLOCK, _STEPS = 4, 12


def principal(A: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """A·v₁, with v₁ the first right singular vector of A as (positions × channels), not centered; sign arbitrary.

    From the Gram matrix of the smaller side, so it stays cheap at any resolution.
    """
    # Gradients may be tiny or huge: scaled to one, the squares below stay within range.
    size = A.detach().abs().amax(behind_first(A), keepdim=True).clamp(min=torch.finfo(A.dtype).tiny)
    X = (A / size).flatten(2)
    if X.shape[1] <= X.shape[2]:
        M = leading(X @ X.mT)[:, None] @ X
    else:
        u = leading(X.mT @ X)
        M = u * (X @ u[..., None]).norm(dim=1)
    return M.view(len(A), *A.shape[2:]) * size[:, 0]


def leading(C: Float[Tensor, "n m m"]) -> Float[Tensor, "n m"]:
    """The unit eigenvector of the largest eigenvalue of each symmetric positive semi-definite matrix.

    Rayleigh–Ritz in a block Krylov space; where its residual is not down to rounding (nearly equal leading
    eigenvalues), dense and in double precision.
    """
    if C.requires_grad:
        with torch.no_grad():
            v = leading(C.detach())
        return v + _change(C, v)
    if C.shape[-1] > _SMALL:
        v, residual = _ritz(C, _krylov(C))
        if bool((residual <= 20 * torch.finfo(C.dtype).eps).all()):
            return v
    vectors: Tensor = torch.linalg.eigh(C.double()).eigenvectors
    return vectors[..., -1].to(C.dtype)


def _change(C: Float[Tensor, "n m m"], v: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """0, with the derivative of the eigenvector: dv = (λ − C)⁺ dC v.

    Autograd's own derivative of a decomposition needs all eigenvalues to differ; this one only the first.
    """
    fixed, v = C.detach(), v[..., None]
    moved = (C - fixed) @ v
    values = (v.mT @ fixed @ v).clamp(min=torch.finfo(C.dtype).tiny)
    gaps = values * (torch.eye(C.shape[-1]).to(C) + v @ v.mT) - fixed
    change: Tensor = torch.linalg.solve(gaps, moved - v @ (v.mT @ moved))
    return change[..., 0]


def _krylov(C: Float[Tensor, "n m m"]) -> Float[Tensor, "n m k"]:
    """An orthonormal basis of span{Q, CQ, C²Q, …}, from a fixed start, so the same input gives the same bytes."""
    seed = torch.Generator().manual_seed(0)
    start = torch.randn(C.shape[-1], _BLOCK, generator=seed, device="cpu").to(C).expand(len(C), -1, -1).clone()
    start[..., 0] = C.sum(-1)
    basis: Tensor = torch.linalg.qr(start).Q
    for _ in range(_STEPS):
        new = C @ basis[..., -_BLOCK:]
        for _ in range(2):  # once is not orthogonal enough in single precision
            new = new - basis @ (basis.mT @ new)
        basis = torch.cat([basis, torch.linalg.qr(new).Q], -1)
    return basis


def _ritz(C: Float[Tensor, "n m m"], basis: Float[Tensor, "n m k"]) -> tuple[Tensor, Tensor]:
    """The leading Ritz vector and its residual ‖Cv − λv‖ / λ, per matrix."""
    CB = C @ basis
    values, vectors = torch.linalg.eigh(basis.mT @ CB)
    top = vectors[..., -1:]
    v = basis @ top
    residual = (CB @ top - values[:, -1:, None] * v).norm(dim=1)[:, 0] / values[:, -1].clamp(min=1e-30)
    return v[..., 0], residual
