"""A graph of ONNX as a network of torch: a module an operation, under the names of the network that was exported."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from foveal.models.onnx_node import OnnxNode, Unconvertible
from foveal.models.onnx_operators import converted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter writes which modules an operation lies in."""


def network(model: Any) -> fx.GraphModule:
    """The network of an `onnx.ModelProto`; images are (n, c, h, w) also where the file has (n, h, w, c).

    Raises:
        Unconvertible: for what torch has no counterpart of here.
    """
    return _Conversion(model.graph).network


class _Conversion:
    """One graph on its way: what is constant is computed now, the rest becomes a module each."""

    def __init__(self, graph: Any) -> None:
        import onnx.numpy_helper as helper

        self._tensor = helper.to_array
        self._constants = {each.name: self._read(each) for each in graph.initializer}
        inputs = [each for each in graph.input if each.name not in self._constants]
        if len(inputs) != 1:
            raise Unconvertible(f"{len(inputs)} inputs")
        self._root, self._graph = nn.Module(), fx.Graph()
        x = self._graph.placeholder("images")
        shape = dimensions(inputs[0])
        if channels_last(shape):
            self._root.add_module("channels_last", ChannelsLast())
            x = self._graph.call_module("channels_last", (x,))
        self._batch = shape[0] if shape and isinstance(shape[0], int) else None
        self._values: dict[str, fx.Node] = {inputs[0].name: x}
        self._names = _layer_names(graph.node)
        for number, node in enumerate(graph.node):
            self._add(node, self._names[number])
        outputs = {each.name: self._value(each.name) for each in graph.output}
        self._graph.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
        self.network = fx.GraphModule(self._root, self._graph, "OnnxNetwork").eval()

    def _add(self, node: Any, name: str) -> None:
        attributes = {each.name: self._attribute(each) for each in node.attribute}
        if node.domain not in ("", "ai.onnx"):
            raise Unconvertible(f"the operator {node.domain}.{node.op_type}")
        if node.op_type == "Constant":
            self._constants[node.output[0]] = torch.as_tensor(next(iter(attributes.values())))
            return
        own = tuple(self._constants.get(each) if each else None for each in node.input)
        constants = self._unbatched(node, own)
        changed = {name: new for name, old, new in zip(node.input, own, constants, strict=True) if new is not old}
        if changed:
            attributes["allowzero"] = 0  # a 0 is now a side that stays
        module, places = converted(OnnxNode(node.op_type, attributes, constants))
        called = [each for i, each in enumerate(node.input) if each and (places is None or i in places)]
        computed = any(each in self._values for each in node.input)
        if not computed:
            given = [self._constants[each] for each in called]
            self._keep(node.output, module(*given))
            return
        if places is not None and any(each in self._values for i, each in enumerate(node.input) if i not in places):
            raise Unconvertible(f"{node.op_type} whose settings are computed")
        self._place(name, module)
        result = self._graph.call_module(name, tuple(self._value(each, changed.get(each)) for each in called))
        if len([each for each in node.output if each]) == 1:
            self._values[node.output[0]] = result
            return
        for number, output in enumerate(node.output):
            self._values[output] = self._graph.call_function(_item, (result, number))

    def _unbatched(self, node: Any, constants: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """A shape that was written for a batch of fixed size keeps the batch that comes: ONNX's 0 says so."""
        shape = constants[1] if node.op_type == "Reshape" and len(constants) > 1 else None
        if shape is None or not len(shape) or int(shape[0]) != self._batch:
            return tuple(constants)
        return constants[0], torch.cat([torch.zeros(1, dtype=shape.dtype), shape[1:]])

    def _keep(self, names: Sequence[str], values: Any) -> None:
        each = [values] if isinstance(values, Tensor) else values
        self._constants.update(zip(names, each, strict=False))

    def _value(self, name: str, constant: Tensor | None = None) -> fx.Node:
        """What stands for a value in the graph; constants become buffers when first used."""
        if name in self._values:
            return self._values[name]
        value = self._constants[name] if constant is None else constant
        buffer = f"constant_{len(self._root._buffers)}"
        self._root.register_buffer(buffer, value)
        node = self._graph.get_attr(buffer)
        if constant is None:
            self._values[name] = node
        return node

    def _place(self, name: str, module: nn.Module) -> None:
        *path, last = name.split(".")
        parent = self._root
        for part in path:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent._modules[part]  # type: ignore[assignment]
        parent.add_module(last, module)

    def _read(self, tensor: Any) -> Tensor:
        return torch.from_numpy(self._tensor(tensor).copy())

    def _attribute(self, attribute: Any) -> Any:
        import onnx

        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            return self._read(value)
        if isinstance(value, onnx.GraphProto):
            raise Unconvertible("control flow")
        return value.decode() if isinstance(value, bytes) else value


class ChannelsLast(nn.Module):
    """(n, c, h, w) as (n, h, w, c), which the exported network takes."""

    def forward(self, x: Tensor) -> Tensor:
        """The same numbers in another order."""
        return x.permute(0, 2, 3, 1)


def _item(parts: Any, number: int) -> Any:
    return parts[number]


def dimensions(value: Any) -> list[int | str]:
    """The sides of an input: numbers, and names or "" of those that may vary."""
    sides = value.type.tensor_type.shape.dim
    return [side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else side.dim_param for side in sides]


def channels_last(shape: Sequence[int | str]) -> bool:
    """Whether images of this shape have their colors behind: (n, h, w, 3)."""
    return len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)


def _layer_names(nodes: Sequence[Any]) -> list[str]:
    """A name a node: that of the module it lies in, with the operator behind where it lies there with others."""
    scopes = [_scope(node) for node in nodes]
    containers = {scope[:end] for scope in scopes for end in range(len(scope))}
    names, taken = [], Counter[str]()
    for node, scope in zip(nodes, scopes, strict=True):
        path = scope if scope and scope not in containers else (*scope, node.op_type.lower())
        name = ".".join(path)
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name}_{taken[name] - 1}")
    return names


def _scope(node: Any) -> tuple[str, ...]:
    """The path of modules: "/layer1/layer1.0/conv1/Conv" and the scopes that torch writes are layer1, 0, conv1."""
    written: Mapping[str, str] = {each.key: each.value for each in node.metadata_props}
    if SCOPES in written:
        scopes = ast.literal_eval(written[SCOPES])
        path = str(scopes[-2]) if len(scopes) > 1 else ""
    else:
        path = ""
        parts = [part for part in node.name.split("/") if part]
        if parts and re.fullmatch(rf"{re.escape(node.op_type)}(_\d+)?", parts[-1]):
            parts = parts[:-1]
        before = ""
        for part in parts if "/" in node.name else ():
            inside = before and (part == before or part.startswith(f"{before}."))
            path = path[: len(path) - len(before)] + part if inside else f"{path}.{part}".strip(".")
            before = part
    safe = [re.sub(r"\W", "_", part) for part in path.split(".") if part]
    return tuple(part if not hasattr(nn.Module, part) and part not in RESERVED else f"{part}_" for part in safe)


RESERVED = ("graph", "code", "recompile", "print_readable")
