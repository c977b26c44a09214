"""What `foveal.stages` gives: the stages of a network, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foveal.engine.structure import Stage as _Stage

HEAD = ("stage", "layer", "channels×h×w", "stride", "receptive field", "values")


class Stages(tuple["_Stage", ...]):
    """The stages in forward order, the first next to the input; a tuple that prints itself as a table.

    stages = foveal.stages(model)
    stages[-1].name, stages[-1].shape, stages[-1].stride, stages[-1].receptive_field
    """

    __slots__ = ()

    def rows(self) -> list[tuple[str, ...]]:
        """One row per stage, under `HEAD`: number, layer, shape, stride and receptive field in input pixels, sign."""
        return [_row(number, stage) for number, stage in enumerate(self, 1)]

    def _repr_html_(self) -> str:
        from foveal.render.fragment import table_fragment

        return table_fragment(HEAD, self.rows(), title="Stages; stride and receptive field in input pixels")

    def __str__(self) -> str:
        return aligned(HEAD, self.rows())

    __repr__ = __str__


def aligned(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows of texts in columns."""
    from rich.cells import cell_len, set_cell_size

    widths = [max(cell_len(row[j]) for row in (head, *rows)) for j in range(len(head))]
    return "\n".join("  ".join(map(set_cell_size, row, widths)).rstrip() for row in (head, *rows))


def _row(number: int, stage: _Stage) -> tuple[str, ...]:
    return (
        str(number),
        stage.name,
        "×".join(map(str, stage.shape)),
        "×".join(f"{step:g}" for step in dict.fromkeys(stage.stride)),
        "×".join(map(str, dict.fromkeys(stage.receptive_field))) + ("" if stage.local else " and the whole image"),
        "≥ 0" if stage.sign == "nonnegative" else "signed",
    )
