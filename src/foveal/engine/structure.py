"""What one traced forward tells about a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor, nn

from foveal.engine.address import INPUT, Address, named_modules
from foveal.engine.embedding_signs import EmbeddingSign
from foveal.engine.guard import unwrap
from foveal.engine.layout import SPACE, Layout, channels_first, find_layout, fits_both
from foveal.engine.positions import Cells, Where, layout_of, place_of
from foveal.errors import LayerError


@dataclass(frozen=True)
class Stage:
    """One resolution of a network.

    Attributes:
        name: the module that returns it, as in `named_modules`.
        shape: (c, h, w) for the input that was traced; (c, length) of a signal, (c, d, h, w) of a volume.
        stride: input pixels from one position to the next, (y, x); a number for each axis of space.
        receptive_field: side of the theoretical receptive field in input pixels, (y, x); can exceed the image.
        local: False when a feature here also depends on the whole image (squeeze-excite, attention, …).
        sign: "nonnegative" (after ReLU and similar functions) or "signed", as observed on the traced input.
        depth: convolutions and matrix products on the longest path from the input.
        layout: "nchw", or "nhwc" where the network keeps channels last; maps and shapes here are channels first.
        place: the grid of its cells on the input; None if it is not known.
    """

    name: str
    shape: tuple[int, ...]
    stride: tuple[float, ...]
    receptive_field: tuple[int, ...]
    local: bool
    sign: Literal["nonnegative", "signed"]
    depth: int
    layout: Layout = "nchw"
    place: Cells | None = None


@dataclass(frozen=True)
class Lying:
    """Where the elements of one tensor lie on an image (h, w), or in another space, and its shape."""

    where: Where | None
    shape: tuple[int, ...]
    image: tuple[int, ...]

    @property
    def layout(self) -> Layout | None:
        """Which axes are the map, where the image's rows and columns could be followed."""
        return layout_of(self.where, self.shape)

    def place(self, layout: Layout) -> Cells | str:
        """Where the cells of the map lie, or the operation after which that is not known."""
        return place_of(self.where, self.shape, layout, self.image)


@dataclass(frozen=True)
class Structure:
    """What one traced forward told about a network.

    Attributes:
        traced: the stages in forward order, the first next to the input; there may be none.
        default: the stage that is meant where none is named: the last, or, of a network whose output is a map, the
            last before resolution rises again.
        shapes: module -> shape of what it returned at its last call (only modules that return one tensor).
        layouts: module -> layout, of those that return a feature map with a row an image.
        calls: module -> how often it ran.
        depth: convolutions and matrix products on the longest way from the input to the scores.
        rows: module -> rows an image, of those that return maps with more or fewer rows than there are images.
        model: what the network is called.
        images: how many images there were; the first was traced.
        lying: address, with the number of the call -> where what is there lies.
        along_images: whether some operation moves, picks or sums along the axis of the images.
        own_backwards: what sets gradients by code of the network's own: names of `torch.autograd.Function`s, and hooks
            on tensors.
        embedding: what says that the output is an embedding; None where nothing does.
        levels: addresses of the maps of a feature pyramid, finest first, from which the output is made; empty without.
        detects: whether the output are boxes around objects.
        transformer: whether more layers attend than slide windows.
        orders: layer -> how its rows go with the images, of those that were asked about; see `engine.row_order`.
    """

    traced: tuple[Stage, ...]
    default: Stage | None
    shapes: dict[str, tuple[int, ...]] = field(repr=False)
    layouts: dict[str, Layout] = field(repr=False)
    calls: dict[str, int] = field(repr=False)
    depth: int = 0
    rows: dict[str, float] = field(default_factory=dict, repr=False)
    model: str = "the network"
    images: int = 1
    lying: Mapping[str, Lying] = field(default_factory=dict, repr=False)
    along_images: bool = False
    own_backwards: tuple[str, ...] = ()
    embedding: EmbeddingSign | None = None
    levels: tuple[str, ...] = ()
    detects: bool = False
    transformer: bool = False
    orders: dict[str, Literal["own", "others", "all"]] = field(default_factory=dict, repr=False)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """In forward order, the first next to the input.

        Raises:
            LayerError: when the network has none.
        """
        if not self.traced:
            raise LayerError(self._without())
        return self.traced

    @property
    def usual(self) -> Stage:
        """The stage that is meant where none is named. Raises LayerError where there is none."""
        return self.default or self.stages[-1]

    @property
    def late(self) -> str:
        """A layer after which little happens: where a graph begins that is only to show how the output ends."""
        return self.traced[-1].name if self.traced else INPUT

    def _without(self) -> str:
        """Why there is no stage."""
        remedy = "choose an input method, such as occlusion or inputxgradient, or layer='input'"
        if not self.rows:
            seen = ", because its layers cannot be observed" if self.model == "TorchScript" else ""
            return f"{self.model} has no layer that returns a feature map (n, c, h, w) to draw on{seen}: {remedy}"
        name, n = min(self.rows, key=lambda name: name.count(".")), self.images
        return (
            f"{name or 'the output'} has {self.rows[name] * n:g} rows for {n} image{'s' * (n != 1)}, so its "
            f"rows cannot be assigned to images, and {self.model} has no feature map with one row per image: {remedy}"
        )

    def place(self, model: nn.Module, layer: str) -> Cells | str:
        """Where the cells of a layer's map lie, or why that is not known: the name of an operation, mostly."""
        model = unwrap(model)
        address, module = Address.resolve(model, layer)
        name = self._traced_name(model, address.module, module) if module else ""
        call = self.calls.get(name, 1) - 1 if address.call is None else address.call
        lying = self.lying.get(str(replace(address, module=name, call=call)))
        if lying is None:
            ran = name in self.calls
            return "its axes are not the input's" if ran else "it did not run when the network was traced"
        layout = lying.layout or find_layout(lying.shape, lying.image) or self.layouts.get(name)
        if layout is None:
            return "it is not a feature map"
        place = lying.place(layout)
        if isinstance(place, str) and lying.layout is None and fits_both(lying.shape, lying.image):
            space = SPACE[len(lying.image)]
            first = f"n, c, {space}" if layout == "nchw" else f"n, {space}, c"
            place += f", and its shape {tuple(lying.shape)} is only assumed to be ({first})"
        return place

    def spatial(self, name: str) -> bool:
        return name in self.layouts

    def last_calls(self, model: nn.Module, layers: Iterable[str]) -> dict[str, int]:
        """Layer -> the number of the last call of its module, whatever name it goes by."""
        model = unwrap(model)
        found = {layer: Address.resolve(model, layer) for layer in layers}
        return {
            layer: self.calls.get(self._traced_name(model, address.module, module), 1) - 1
            for layer, (address, module) in found.items()
            if module is not None
        }

    def _traced_name(self, model: nn.Module, name: str, module: nn.Module) -> str:
        """What the trace calls a module that may go by several names: the first of them."""
        if name in self.calls:
            return name
        return next((first for first, other in named_modules(model).items() if other is module), "")

    def channels_first(self, layer: str, tensor: Tensor, image: Sequence[int]) -> Tensor:
        """What a layer returned, its maps as (n, c, h, w) also where the network keeps channels last.

        image: (h, w) of the network's input; anything that is no map stays as it is.
        """
        layout = self.layout(layer, tensor.shape, image)
        return channels_first(tensor, layout) if layout and tensor.ndim == len(image) + 2 else tensor

    def layout(self, layer: str, shape: Sequence[int], image: Sequence[int]) -> Layout | None:
        """The layout of what a layer returned to images of size (h, w); None where it is no map.

        As the image's rows and columns were followed, if they could be; else as its shape suggests.
        """
        address = Address.parse(layer)
        call = self.calls.get(address.module.removesuffix(f".{INPUT}"), 1) - 1 if address.call is None else address.call
        traced = self.lying.get(str(replace(address, call=call)))
        followed = traced.layout if traced and len(traced.shape) == len(shape) else None
        return followed or find_layout(shape, image) or self.layouts.get(address.module)

    def nearest_spatial(self, name: str) -> str | None:
        """The last module with a feature map that ran before `name` did."""
        names = list(self.shapes)
        before = names[: names.index(name)] if name in names else names
        return next((other for other in reversed(before) if other and self.spatial(other)), None)
