"""Rules for the backward pass, at the level of operations.

Everything here speaks in *cotangents*. The relevance of an activation A is R = A ⊙ G, where G is what arrives there
in place of the derivative. In these terms an operation that is linear, or piecewise linear without an offset, needs
no rule: with the derivative, Σ A_in ⊙ G_in = A_out ⊙ G_out. Sums, concatenations, pooling of every kind, indexing and
ReLU conserve relevance by themselves. Only what has weights, an offset, a bend or two arguments is given a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal._lazy import lazily

if TYPE_CHECKING:
    from foveal.engine.rules.linear import LinearRule
    from foveal.engine.rules.mode import RulesMode

_HOME = {"LinearRule": "linear", "RulesMode": "mode"}

__all__ = ["LinearRule", "RulesMode"]

__getattr__ = lazily(__name__, _HOME)
