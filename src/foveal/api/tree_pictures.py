"""What a tree's features look like elsewhere: photos in which they are strongest, and images made for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from foveal.api.visualize import visualize
from foveal.attribution.differences import difference_pass
from foveal.attribution.passes import decided, forward_backward
from foveal.errors import ImageError, MethodError
from foveal.featurevis.unit_objectives import direction_of, features_by_flow
from foveal.hierarchy.part_examples import ExampleSearch
from foveal.hierarchy.part_tree import stage_evidence
from foveal.images import load_images, pictures_in
from foveal.models.model import placed
from foveal.targets import Direction, Neuron

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.attribution.context import Context
    from foveal.attribution.passes import Rules
    from foveal.attribution.perturbation import Progress
    from foveal.hierarchy.part_expansion import StageEvidence
    from foveal.images.load import OneImage
    from foveal.results.feature_graph import Feature
    from foveal.results.tree import PhotoSet, Tree


@dataclass(frozen=True, eq=False)
class TreePictures:
    """Finds and makes them with the network of a tree.

    Attributes:
        context: of the tree.
        evidence: another image -> its evidence at every stage of the tree, for the same decision; None of channels.
    """

    context: Context
    evidence: Callable[[Tensor], Sequence[StageEvidence]] | None = None

    def examples(self, tree: Tree, photos: PhotoSet, most: int, progress: Progress | None) -> None:
        """Give each part so far its examples."""
        paths = [photos] if isinstance(photos, str | Path) else photos
        files = pictures_in([Path(path) for path in paths])
        parts = [feature for feature in tree.features.values() if feature.profile is not None]
        search = self.strongest(tree, parts, [(file, file) for file in files], most, progress)
        for feature in parts:
            feature.examples = search.of(feature)

    def strongest(
        self,
        tree: Tree,
        parts: Sequence[Feature],
        images: Sequence[tuple[Path, OneImage]],
        most: int,
        progress: Progress | None,
    ) -> ExampleSearch:
        """Look for these parts in images, each with a file that names it."""
        if self.evidence is None:
            raise MethodError(
                "find_examples is for nodes='parts'; this tree is of channels, whose examples foveal.channels finds"
            )
        if most < 1:
            raise MethodError(f"most={most}: at least one photo is needed")
        if self.context.arguments.positional or self.context.arguments.keywords:
            raise MethodError("the network takes more than images, and photos of a set have no such inputs")
        size = (int(self.context.x.shape[2]), int(self.context.x.shape[3]))
        search = ExampleSearch(parts, tree.stages, size, most)
        for number, (file, image) in enumerate(images):
            batch = placed(load_images([image], self.context.subject.preprocessing), self.context.model)
            if batch.tensor.shape != self.context.x.shape:
                raise ImageError(
                    f"{str(file)!r} becomes an input of {tuple(batch.tensor.shape[1:])}, and the image of the tree of "
                    f"{tuple(self.context.x.shape[1:])}: give photos of one size, or a preprocessing that resizes"
                )
            if not torch.equal(batch.tensor, self.context.x):
                search.add(batch.photos[0], file, self.evidence(batch.tensor))
            if progress:
                progress("searching photos", number + 1, len(images))
        return search

    def feature_images(self, tree: Tree, most: int, steps: int, progress: Progress | None) -> None:
        """Give the strongest features so far an image each."""
        units: dict[tuple[str, int], Neuron | Direction] = {}
        features = features_by_flow(tree)
        for feature in features:
            if feature.profile is not None and feature.part is not None:
                units.setdefault((feature.layer, -1 - feature.part), direction_of(feature))
            else:
                units.setdefault((feature.layer, feature.channel), Neuron(feature.layer, feature.channel))
        chosen = dict([*units.items()][:most])
        made = visualize(self.context.subject, target=[*chosen.values()], steps=steps, progress=progress)
        images = {unit: made[i].image.cpu() for i, unit in enumerate(chosen)}
        for feature in features:
            unit = (feature.layer, feature.channel if feature.part is None else -1 - feature.part)
            feature.image = images.get(unit, feature.image)


@dataclass(frozen=True, eq=False)
class EvidenceElsewhere:
    """Other images asked for what was decided about the image of a tree, by its rule.

    Attributes:
        context: of the tree.
        names: its stages.
        rules: what carries contributions back; None for the derivative.
        reference: an image -> what it is compared with, where the rule does so.
    """

    context: Context
    names: Sequence[str]
    rules: Rules | None
    reference: Callable[[Tensor], Tensor] | None

    @cached_property
    def _asked(self) -> Context:
        verdict = decided(self.context).verdict
        fixed = verdict.per_image[0] if verdict and verdict.per_image else self.context.target
        return replace(self.context, target=fixed, photos=())

    def __call__(self, x: Float[Tensor, "1 c h w"]) -> list[StageEvidence]:
        if self.reference is None:
            alone = replace(self._asked, x=x)
            passed = forward_backward(alone, self.names, gradient=True, backward=True, rules=self.rules)
        else:
            both = replace(self._asked, x=torch.cat([x, self.reference(x).to(x)]))
            passed = difference_pass(both, self.names)
        return [stage_evidence(passed, name, paired=self.reference is not None) for name in self.names]
