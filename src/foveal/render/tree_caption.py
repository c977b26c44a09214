"""What stands above and below a drawn tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.feature import is_cropped
from foveal.render.reference_words import reference_words
from foveal.render.scale import number
from foveal.render.tree_words import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.render.drawable_trees import Graph, Support, Vertex


def title(tree: Graph) -> str:
    """ "jay, resnet50: score 15.6 = 31.2 for − 12.5 against − 3.1 from biases"."""
    return f"{tree.target}, {tree.model}: score {tree.decision.value:.3g}{_balance(tree)}"


def caption(tree: Graph, shown: Sequence[Sequence[Vertex]], *, looked: bool) -> str:
    """How to read the page, and the notes.

    Args:
        tree: what is drawn.
        shown: the features of each row, without the opponents of the decision.
        looked: what drives each feature is drawn, too.
    """
    said = _of_parts(tree, shown, looked=looked) if _is_of_parts(tree) else _of_channels(tree, shown, looked=looked)
    if is_cropped(tree):
        said.append("Hatched areas were not seen by the network.")
    return " ".join([*filter(None, said), *(f"{note[:1].upper()}{note[1:]}." for note in tree.notes)])


def _is_of_parts(tree: Graph) -> bool:
    return tree.parameters.get("nodes") == "parts"


def _of_channels(tree: Graph, shown: Sequence[Sequence[Vertex]], *, looked: bool) -> list[str]:
    said = [
        f"Below each feature: its channel, and the share of the decision that flows through it ({_rule(tree)}).",
        _coverage(tree, shown),
        "Each crop is what the neuron can see, with the evidence in color; the boxes are the crops of the first row.",
    ]
    if looked:
        kinds = {f.pattern.kind for f in tree.features.values() if f.pattern}
        said.append(
            f"Below each crop: the pattern that drives the neuron ({', '.join(sorted(kinds))}), which is not evidence. "
            "Bold boxes hold 95 % of it."
        )
    if tree.decision.opponents:
        said.append("Blue: against the decision.")
    if any(edge.disagrees for edge in _edges(tree)):
        said.append("Red line: removing the channel does not lower what it was found to support.")
    return said


def _of_parts(tree: Graph, shown: Sequence[Sequence[Vertex]], *, looked: bool) -> list[str]:
    features = [feature for row in shown for feature in row]
    said = [
        "A part is a group of channels at a group of positions.",
        f"The parts of a stage add up to the decision ({_rule(tree)}).",
        _coverage(tree, shown),
        _comparison(tree),
        "The numbered boxes on the photo are the crops of the first row.",
        "Lines of less than 3 % of the decision are left out, but for the strongest to each part.",
    ]
    if reference_words(tree.parameters) is None and any(feature.bias_share is not None for feature in features):
        said.append(
            'Biases take a share by this rule: "biases 12 %" is what the parts below, shown or not, lack to 100 % of '
            "a part."
        )
    if any(edge.effect is not None for edge in _edges(tree)):
        said.append('"Without it": the measured change of the upper part, or the decision, when the part is removed.')
    if looked:
        said.append("In the row for each pixel, gray is no evidence.")
    if any(feature.examples for feature in features):
        said.append(
            "Photos where a part contributes most were asked for the same decision; a photo in which it is only active "
            "can be of anything."
        )
    if any(feature.image is not None for feature in features):
        said.append("An image made for a part is optimized until its channels are strong, and shows no photo.")
    return said


def _rule(tree: Graph) -> str:
    return f"rule {tree.parameters.get('rule')}"


def _comparison(tree: Graph) -> str:
    """What the decision of the parts is."""
    reference = reference_words(tree.parameters)
    if reference is None:
        return ""
    if tree.decision.edges is None:
        return f"The reference is {reference}."
    taken = number(tree.decision.value - tree.decision.offset)
    return f"The reference is {reference}; the decision is the score less the score of the reference, {taken}."


def _balance(tree: Graph) -> str:
    """ " = 31.2 for − 12.5 against − 3.1 from biases"."""
    decision = tree.decision
    if decision.edges is None:
        return ""
    source = "from biases" if reference_words(tree.parameters) is None else "of the reference"
    offset = f"{'−' if decision.offset < 0 else '+'} {number(abs(decision.offset))} {source}"
    return f" = {number(decision.pro)} for − {number(decision.contra)} against {offset}"


def _coverage(tree: Graph, shown: Sequence[Sequence[Vertex]]) -> str:
    """ "Shown features cover 15 % (layer4) and 1 % (layer3) of the decision."."""
    flow = tree.flow()
    each = [f"{percent(sum(flow[feature.key] for feature in row))} ({row[0].layer})" for row in shown if row]
    if not each:
        return ""
    listed = each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"
    return f"Shown {'parts add up to' if _is_of_parts(tree) else 'features cover'} {listed} of the decision."


def _edges(tree: Graph) -> list[Support]:
    return [edge for parent in [tree.decision, *tree.features.values()] for edge in parent.edges or ()]
