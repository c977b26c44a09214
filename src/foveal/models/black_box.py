"""A function from images to scores as a network: nothing of it can be looked into, and it has no gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from foveal.engine.box_records import BOXES, LABELS, PROBABILITIES, SCORES
from foveal.errors import ModelError, shown
from foveal.storage.reading import DAMAGE

if TYPE_CHECKING:
    from jaxtyping import Float

Scorer: TypeAlias = Callable[..., Any]
"""(n, c, h, w) -> scores (n, k) or (n,); also a session of ONNX Runtime, or an estimator of scikit-learn."""

Takes: TypeAlias = Literal["arrays", "tensors"]

ENOUGH = "occlusion or rise"
"""Methods that need scores alone."""


class BlackBox(nn.Module):
    """What gives scores for images, to be explained by methods that hide parts of the image and need no more.

        box = foveal.BlackBox(lambda x: service.scores(x))     # x: (n, c, h, w), float32
        foveal.explain(box, x, foveal.Class(3), method="rise")
        foveal.explain(detect, x, foveal.Box(0), method="rise")    # D-RISE

    The verbs make one of any function by themselves.

    Attributes:
        function: images (n, c, h, w) to scores (n, k) or (n,): an array, a tensor, or a record of them. Of a detector a
            list with a record {"boxes": (k, 4), "labels": (k,), "scores": (k,)} for each image, which may have
            "probabilities" (k, classes), too; for one image the record alone. Or a session of ONNX Runtime with one
            input, or a fitted estimator of scikit-learn, which takes the images as rows (n, c · h · w).
        takes: "arrays" of NumPy or "tensors"; None tries an array first, and a tensor if the function cannot take it.

    Raises:
        ModelError: for what cannot be asked.
    """

    def __init__(self, function: Scorer, takes: Takes | None = None) -> None:
        super().__init__()
        if takes not in (None, *get_args(Takes)):
            raise ModelError(f"cannot give images to a function as {shown(takes)}: say arrays or tensors")
        self.function, self.takes = function, takes
        self._ask = _asking(function)
        self.eval()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Any:
        """What the function gives, as tensors on the device of x."""
        with torch.no_grad():
            given = x.detach()
            result = self._ask(given.clone()) if self.takes == "tensors" else self._of_array(given)
            return tree_map(lambda part: _tensor(part, x), _plain(_records(result, len(given))))

    def _of_array(self, x: Tensor) -> Any:
        array = x.cpu().float().numpy().copy()  # functions may write into what they are given
        if self.takes == "arrays":
            return self._ask(array)
        try:
            result = self._ask(array)
        except (TypeError, AttributeError) as error:
            try:
                result = self._ask(x.clone())
            except DAMAGE:
                raise error from None
            self.takes = "tensors"
        else:
            self.takes = "arrays"
        return result

    def extra_repr(self) -> str:
        """The name of the function."""
        return title(self.function)


def is_black_box(model: object) -> bool:
    """Whether this is no network, but gives scores for images."""
    return not isinstance(model, nn.Module | type | str) and (
        callable(model) or _is_session(model) or _score_method(model) is not None
    )


def takes_images(function: object) -> bool:
    """Whether this is to be called with images, and not without anything, as a factory is."""
    if isinstance(function, nn.Module | type):
        return False
    if not callable(function):
        return is_black_box(function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == 1


def title(function: object) -> str:
    """What to call it."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


def classes_of(function: object) -> tuple[str, ...] | None:
    """Names of the classes that a classifier of scikit-learn carries."""
    names = getattr(function, "classes_", None)
    if names is None or isinstance(function, nn.Module):
        return None
    named = [str(name) for name in names]
    return None if named == [str(i) for i in range(len(named))] else tuple(named)


def _asking(function: Any) -> Scorer:
    """How this kind of thing is asked."""
    if _is_session(function):
        inputs = function.get_inputs()
        if len(inputs) != 1:
            raise ModelError(
                f"cannot ask a session that takes {', '.join(each.name for each in inputs)}: write a function of the "
                "image that gives it the rest"
            )
        dtype = np.float16 if "float16" in inputs[0].type else np.float32
        names = [output.name for output in function.get_outputs()]

        def run(x: Any) -> Any:
            outputs = function.run(None, {inputs[0].name: np.asarray(x).astype(dtype)})
            return outputs[0] if len(outputs) == 1 else dict(zip(names, outputs, strict=True))

        return run
    if (method := _score_method(function)) is not None:
        return lambda x: method(np.asarray(x).reshape(len(x), -1))
    if not callable(function):
        raise ModelError(f"cannot ask {shown(function)} for scores: give a function of images (n, c, h, w)")
    call: Scorer = function
    return call


def _is_session(function: object) -> bool:
    return callable(getattr(function, "run", None)) and callable(getattr(function, "get_inputs", None))


def _score_method(function: object) -> Scorer | None:
    """Of an estimator, which is no function itself."""
    if callable(function):
        return None
    names = ("predict_proba", "decision_function", "predict")
    return next((method for name in names if callable(method := getattr(function, name, None))), None)


def _records(result: Any, n: int) -> Any:
    """Boxes found as a list with a record of arrays an image; whatever else was returned as it is.

    Raises:
        ModelError: for one record about several images.
    """
    if isinstance(result, Mapping) and {BOXES, LABELS, SCORES} <= result.keys():
        if n > 1:
            raise ModelError(f"one record of boxes came back for {n} images: return a list with a record for each")
        result = [result]
    if not isinstance(result, list | tuple) or not result or not all(isinstance(one, Mapping) for one in result):
        return result
    return [{key: _of_boxes(key, value) for key, value in record.items()} for record in result]


def _of_boxes(key: Any, value: Any) -> Any:
    """What a record says of k boxes, in which numbers may be in lists; without any box (0, 4)."""
    if key not in (BOXES, LABELS, SCORES, PROBABILITIES):
        return value
    value = value if isinstance(value, Tensor) else np.asarray(value)
    return value.reshape(0, 4) if key == BOXES and 0 in value.shape else value


def _plain(result: Any) -> Any:
    """Arrays in lists stay apart, numbers in lists are one array."""
    if isinstance(result, Mapping | Tensor | np.ndarray):
        return result
    if isinstance(result, list | tuple) and not any(isinstance(part, Tensor | np.ndarray | Mapping) for part in result):
        return np.asarray(result)
    return np.asarray(result) if np.isscalar(result) else result


def _tensor(part: Any, x: Tensor) -> Any:
    """A part of the result where the images are; numbers in single precision."""
    if isinstance(part, np.ndarray) and part.dtype.kind in "fiub":
        part = torch.from_numpy(np.ascontiguousarray(part).astype(np.float32))
    if isinstance(part, Tensor):
        return part.detach().to(x.device) if part.is_floating_point() else part.to(x.device, torch.float32)
    return part
