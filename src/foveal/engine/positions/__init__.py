"""Where every element of a tensor lies on the image, followed operation by operation.

Nothing is assumed of an operation that is not known. Those that only move elements (views, `flip`, `roll`, indices,
`cat`) are done to the positions just as they are done to the numbers; windows (convolution, pooling) and interpolation
carry a line on, element-wise operations pass it on, sums take the middle. What lies on no line in the end, and whatever
comes out of an operation that is in no list, has no known place: never a wrong one.
"""

from foveal.engine.positions.table import is_elementwise
from foveal.engine.positions.tracker import PositionTracker, layout_of, place_of
from foveal.engine.positions.where import Call, Cells, Where, tensors_in

__all__ = ["Call", "Cells", "PositionTracker", "Where", "is_elementwise", "layout_of", "place_of", "tensors_in"]
