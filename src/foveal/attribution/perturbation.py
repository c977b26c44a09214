"""Asking the network again: the scores of altered copies of one image, in chunks that fit memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.attribution.forwards import Forwards, cut_at
from foveal.attribution.passes import outcome_of
from foveal.attribution.placing import whereabouts
from foveal.attribution.rounded import agreeing
from foveal.engine.address import INPUT
from foveal.engine.channel_swap import ChannelSwap
from foveal.engine.chunks import RESUMED, WHOLE, Chunks, chunked, fitting
from foveal.engine.forward import Given, output_of
from foveal.engine.guard import unwrap
from foveal.engine.layout import Layout, channels_first
from foveal.engine.locks import memory_of
from foveal.engine.memory import Load, load_of
from foveal.engine.model_errors import out_of_memory, reason
from foveal.engine.op_record import is_seen
from foveal.engine.precision import PRECISIONS, Precision, bfloat16, channels_last, single
from foveal.engine.resume import Resumption
from foveal.errors import FovealError, MethodError, ModelError
from foveal.targets import ModelOutput, Target

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.attribution.context import Context
    from foveal.attribution.passes import PassResult
    from foveal.images import Place

Progress: TypeAlias = Callable[[str, int, int], None]
"""(what is being done, done, total)."""

Copies: TypeAlias = Callable[[int, int], Tensor]
"""(start, stop) -> the altered copies of these numbers, (stop − start, c, h, w)."""

UNMOVED = "no altered copy has another score by more than rounding, and the map is noise"


class PerturbationScorer:
    """One image, one decision about it, and the network to ask. Lives in a block that leaves the model `untouched`.

    Attributes:
        x: (1, c, h, w), the input.
        layer: where the method looks; "input" for the input itself.
        A: (1, c, h, w), the activation there, channels first.
        score: of the image as it is.
        measured: what the method finds out about itself; goes into the result.
        cautions: what a reader must know of the map; goes into the result's notes.
        tick: to be told how many forwards are done, of how many.
    """

    def __init__(
        self,
        context: Context,
        passed: PassResult,
        image: int,
        layer: str,
        tick: Callable[[int, int], None],
        runs: Forwards,
    ) -> None:
        assert passed.verdict is not None
        if not passed.verdict.per_image:
            raise MethodError("this target cannot be measured on altered copies of an image: use a gradient method")
        self.model = unwrap(context.model)
        self.x = context.x[image : image + 1].detach()
        self.layer = layer
        self.A = self.x if layer == INPUT else passed.activations[layer][image : image + 1]
        self.measured: dict[str, Any] = {}
        self.cautions: list[str] = []
        self._context, self._passed, self._image = context, passed, image
        self._arguments = context.arguments.row(image)
        self._under = context.mode or nullcontext
        self._target: Target = passed.verdict.per_image[image]
        self._alone = self._rounded = self._alike = False
        self.tick = tick
        self._runs = runs
        self.score = float(passed.verdict.score[image])
        if passed.verdict.spec.get("of") == "probability":
            # Without a graph to read, what a model that ends in a sigmoid returns may count from another zero.
            self.score = float(self.ask(self.x)[0])

    def scores(
        self,
        copies: Copies,
        count: int,
        *,
        chunk: int | None = None,
        precision: Precision = "float32",
        shown: bool = True,
    ) -> Float[Tensor, " count"]:
        """The scores of `count` altered copies of the input.

        Args:
            chunk: how many at once; None for what fits.
            precision: of the forwards: "float32", "bfloat16", or "auto", see `attribution.rounded`.
            shown: whether this is worth the progress bar.
        """
        if not self._alike and self.folds:  # its score the way that altered copies get theirs
            self.score = float(self.ask(self.x)[0])
        self._alike = True
        tick = self.tick if shown else lambda done, total: None
        size = fitting(self.x, WHOLE) * (2 if precision == "bfloat16" else 1)

        def run(score: Callable[[Tensor], Tensor]) -> Tensor:
            def forward(start: int, stop: int) -> Tensor:
                return score(copies(start, stop).to(self.x.dtype))

            chunks = Chunks(chunk) if chunk else Chunks(size, self.load(precision))
            chunks.weigh(forward, count)
            return chunks(forward, count, tick)

        if precision == "auto":
            scores, remarks = agreeing(self._context, run, self._score, self.score)
            self.cautions += remarks
        else:
            scores = run(partial(self._score, rounded=precision == "bfloat16"))
        return self._more_than_rounding(scores, shown=shown)

    def _score(self, x: Tensor, look: object = None, *, rounded: bool = False) -> Tensor:
        with self.rounded() if rounded else nullcontext():
            return self.ask(x)

    def resumed(
        self, copies: Copies, count: int, *, chunk: int | None = None, precision: Precision = "float32"
    ) -> Float[Tensor, " count"]:
        """The scores where the layer gives altered copies of A, running only what comes after the layer.

        Args:
            precision: of whole forwards, those of altered inputs.
        """
        if precision not in PRECISIONS:
            raise MethodError(f"cannot run forward passes in {precision!r}: say float32, bfloat16 or auto")
        if self.layer == INPUT:
            return self.scores(copies, count, chunk=chunk, precision=precision)
        go_on = self._resumption

        def forward(start: int, stop: int) -> Tensor:
            return go_on(self._as_returned(copies(start, stop)))

        return self._more_than_rounding(chunked(chunk, self.A, RESUMED, go_on.load)(forward, count, self.tick))

    def _more_than_rounding(self, scores: Float[Tensor, " count"], *, shown: bool = True) -> Float[Tensor, " count"]:
        """The scores; a caution if none of them differs from the image's own."""
        if shown and len(scores):
            rounding = 100 * torch.finfo(scores.dtype).eps * abs(self.score)
            if bool((scores - self.score).abs().amax() <= rounding) and not self.unmoved:
                self.cautions.append(UNMOVED)
        return scores

    @property
    def folds(self) -> bool:
        """Whether scores of copies differ by rounding from those of the network's own passes."""
        ours = bool(self._target.layers) or self._context.mode is not None
        return not ours and self._runs.inference.differs(self.x, self._whole)

    @property
    def unmoved(self) -> bool:
        """Whether some round of altered copies has left the score where it was."""
        return UNMOVED in self.cautions

    def exchanged(
        self, channels: Int[Tensor, " count"], planes: Float[Tensor, "count h w"], *, chunk: int | None = None
    ) -> Float[Tensor, " count"]:
        """The same of copies in which one channel each is exchanged for a plane."""
        copies = ChannelSwap(self.A)
        return self.resumed(lambda a, b: copies(channels[a:b], planes[a:b]), len(channels), chunk=chunk)

    def ask(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        """The scores of these inputs; differentiable where gradients are on.

        Raises:
            ModelError: when the network does not give an answer for each.
        """
        return self.read(x, lambda outcome: self._target.decide(outcome).score)

    def read(self, x: Float[Tensor, "k c h w"], number: Callable[[ModelOutput], Tensor]) -> Float[Tensor, " k"]:
        """A number of each of these inputs, read off what the network makes of them.

        Networks that take one image at a time, as exported ones may, are asked so.
        """
        if self._alone:
            return torch.cat([self._at_once(image, number) for image in x.split(1)])
        try:
            return self._at_once(x, number)
        except ModelError as error:
            if len(x) == 1 or out_of_memory(error):
                raise
            try:
                first = self._at_once(x[:1], number)
            except FovealError:
                raise error from error.__cause__
        self._alone = True
        self.cautions.append("the network takes one image at a time, so each copy ran alone")
        return torch.cat([first, *(self._at_once(image, number) for image in x[1:].split(1))])

    def _at_once(self, x: Float[Tensor, "k c h w"], number: Callable[[ModelOutput], Tensor]) -> Float[Tensor, " k"]:
        numbers = number(self.outcome(x))
        numbers = numbers if torch.is_grad_enabled() else numbers.detach()
        if numbers.shape != (len(x),):
            raise ModelError(
                f"for {len(x)} cop{'ies' if len(x) != 1 else 'y'}, {type(self.model).__name__} returned "
                f"{numbers.numel()} score{'s' * (numbers.numel() != 1)}: it does not take every number of images, so "
                "altered copies cannot be measured; use a gradient method"
            )
        return numbers

    def _scores(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        """`ask` in one forward, whatever comes."""
        return self._at_once(x, lambda outcome: self._target.decide(outcome).score)

    @contextmanager
    def rounded(self) -> Iterator[None]:
        """Forwards in here are in bfloat16; what they give is in float32."""
        self._rounded = True
        try:
            yield
        finally:
            self._rounded = False

    def outcome(self, x: Float[Tensor, "k c h w"]) -> ModelOutput:
        """What the network makes of these inputs, as far as the decision may look."""
        if not self._rounded:
            return self._outcome(x)
        with bfloat16(x.device):
            outcome = self._outcome(channels_last(x))
        return replace(outcome, output=single(outcome.output), activations=single(outcome.activations))

    def _outcome(self, x: Float[Tensor, "k c h w"]) -> ModelOutput:
        if self._target.layers:
            run = self._runs.to_layers[torch.is_grad_enabled()]
            output = run.forward(x, self._arguments, stop=True, mode=self._under())
            return outcome_of(self._context, self._target, run, output)
        own = self._context.mode is not None
        return self._context.outcome(self._whole(x) if own else self._runs.inference(x, self._whole), {})

    def _whole(self, x: Float[Tensor, "k c h w"]) -> Any:
        """What the network returns."""
        # A forward may write into its input: into copies made for it, not into the picture itself.
        ours = memory_of(x) in (memory_of(self.x), memory_of(self._context.x)) and not is_seen(x)
        own = ours or x.requires_grad

        def given() -> Given:
            return self._arguments.bind(x.clone() if own else x, lambda tensor: tensor.detach().clone())

        with self._under():
            return output_of(self.model, given, gradient=torch.is_grad_enabled())

    def load(self, *about: Hashable, graph: bool = False) -> Load:
        """What a whole forward of one copy makes of memory; with a `graph`, what it keeps for a backward pass too."""
        way = (*about, self._target.layers, self._arguments.key())
        return load_of(self._context.mode or self.model, self.x, *way, graph=graph)

    def alone(self) -> Context:
        """The same question about this image only, for methods that look in ways of their own.

        Raises:
            MethodError: where the network runs in another way than as it was built, such as at a finer resolution.
        """
        if self._context.mode:
            raise MethodError("this method uses the network at its own resolution: leave resolution out")
        return replace(self._context, x=self.x, target=self._target, arguments=self._arguments)

    @cached_property
    def place(self) -> Place | None:
        """Where the cells of A lie on the input; None is edge to edge."""
        return whereabouts(self._context, {self.layer: self.A}).where.get(self.layer)

    def forget(self) -> None:
        """The resumption asks the probe that holds it: taken apart, nothing waits for the collector."""
        self.__dict__.pop("_resumption", None)

    @cached_property
    def _resumption(self) -> Resumption:
        recording = self._passed.recording
        cut = recording.cut if recording else cut_at(self._context, self.layer)
        resumption = Resumption(
            cut, self._scores, self.x, self.score, recording, self._image, self.load("resumed", self.layer)
        )
        self.score = resumption.score
        self.measured["resumed"] = resumption.refusal is None
        if resumption.refusal is not None:
            self.cautions.append(
                f"the network cannot continue from here, so each copy took a full forward pass: {resumption.refusal}"
            )
        return resumption

    @cached_property
    def _layout(self) -> Layout:
        """The one in which what the layer returned has the numbers of A."""

        def distance(layout: Layout) -> float:
            laid = channels_first(self._resumption.returned, layout)
            return float((laid - self.A).abs().sum()) if laid.shape == self.A.shape else float("inf")

        return "nhwc" if distance("nhwc") < distance("nchw") else "nchw"

    def _as_returned(self, copies: Float[Tensor, "k c h w"]) -> Tensor:
        copies = copies.to(self.A.dtype)
        return copies if self._layout == "nchw" else copies.movedim(1, -1).contiguous()


@contextmanager
def failing(method: str, probe: PerturbationScorer) -> Iterator[None]:
    """What the network raises where nobody else listens, such as in a backward pass, in one sentence."""
    try:
        yield
    except FovealError:
        raise
    except Exception as error:
        name = type(probe.model).__name__
        raise ModelError(f"{method} of this {name} at {probe.layer} failed: {reason(error)}") from error
