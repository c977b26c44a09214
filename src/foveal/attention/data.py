"""Pictures to learn from: folders, CUB-200-2011, drawn birds. What a picture looks like in an epoch depends on the
seed, the epoch and its number alone, so that a run can go on from anywhere with any number of workers.

    tree         FOLDER/jay/1.jpg …, or FOLDER/train/jay/1.jpg … and FOLDER/test/jay/1.jpg …
    CUB          FOLDER/images.txt, image_class_labels.txt, train_test_split.txt, images/…
    world        drawn species; individuals: drawn birds that differ in three marks each
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from foveal.errors import ImageError
from foveal.images import Preprocessing
from foveal.images.decode import decode_file
from foveal.images.folders import labelled_pictures

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from foveal.attention.settings import Settings

Key: TypeAlias = "tuple[int, int]"  # epoch, number; epoch -1 is the picture as it is
AS_IT_IS = -1
LUMA = (0.2126, 0.7152, 0.0722)
VALIDATION = 977  # key of the drawn validation pictures' seed


@dataclass(frozen=True)
class Listed:
    """Pictures in files.

    Attributes:
        files, targets: one each.
        cameras: before which camera each was taken, where that is known; -1 for pictures of nobody in particular.
    """

    files: tuple[Path, ...]
    targets: tuple[int, ...]
    cameras: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sources:
    """What a training reads.

    Attributes:
        train, validation, test: pictures with their classes; test may be empty.
        classes: names.
        preprocessing: of the pictures as they are examined.
    """

    train: Pictures
    validation: Pictures
    test: Pictures
    classes: tuple[str, ...]
    preprocessing: Preprocessing


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """(image (3, h, w), as the network wants it; class, or the probabilities of all) by (epoch, number)."""

    def __init__(self, settings: Settings, preprocessing: Preprocessing, targets: Sequence[int] | Tensor) -> None:
        self.settings, self.preprocessing = settings, preprocessing
        self.targets = targets if isinstance(targets, Tensor) else torch.tensor(targets, dtype=torch.long)
        self.mean = torch.tensor(preprocessing.mean)[:, None, None]
        self.std = torch.tensor(preprocessing.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.targets)

    def pixels(self, number: int) -> UInt8[Tensor, "3 H W"]:
        """The picture, its short side as long as crops are taken from."""
        raise NotImplementedError

    def __getitem__(self, key: Key) -> tuple[Float[Tensor, "3 h w"], Tensor]:
        epoch, number = key
        pixels = self.pixels(number).float() / 255
        if epoch == AS_IT_IS:
            seen = _centre(pixels, self.preprocessing.size)
        else:
            random = np.random.default_rng([self.settings.seed, epoch, number])
            seen = altered(pixels, self.preprocessing.size, self.settings, random)
        return (seen - self.mean) / self.std, self.targets[number]


class Files(Pictures):
    """Pictures on a disk."""

    def __init__(self, listed: Listed, settings: Settings, preprocessing: Preprocessing) -> None:
        super().__init__(settings, preprocessing, listed.targets)
        self.listed = listed

    def pixels(self, number: int) -> UInt8[Tensor, "3 H W"]:
        photo = decode_file(self.listed.files[number]).image.convert("RGB")
        short = self.preprocessing.resize_to or min(self.preprocessing.size)
        ratio = short / min(photo.size)
        size = (max(short, int(photo.width * ratio)), max(short, int(photo.height * ratio)))
        return torch.from_numpy(np.array(photo.resize(size, Image.Resampling.BILINEAR))).permute(2, 0, 1)


class Kept(Pictures):
    """Pictures in memory."""

    def __init__(
        self, images: UInt8[Tensor, "m 3 H W"], targets: Tensor, settings: Settings, preprocessing: Preprocessing
    ) -> None:
        super().__init__(settings, preprocessing, targets)
        self.images = images

    def pixels(self, number: int) -> UInt8[Tensor, "3 H W"]:
        return self.images[number]


def altered(
    pixels: Float[Tensor, "3 H W"], size: tuple[int, int], settings: Settings, random: np.random.Generator
) -> Float[Tensor, "3 h w"]:
    """A crop at random, mirrored or not, in another light; in 0..1."""
    h, w = size
    if settings.shift:
        pixels = functional.pad(pixels[None], (settings.shift,) * 4, mode="replicate")[0]
    y, x = (int(random.integers(0, room + 1)) for room in (pixels.shape[1] - h, pixels.shape[2] - w))
    seen = pixels[:, y : y + h, x : x + w]
    if random.random() < settings.flip:
        seen = seen.flip(2)
    light, colour = (1 + random.uniform(-reach, reach) for reach in (settings.brightness, settings.saturation))
    if light != 1 or colour != 1:
        grey = (seen * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
        seen = ((grey + (seen - grey) * colour) * light).clamp(0, 1)
    return seen


def _centre(pixels: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    y, x = (round((length - kept) / 2) for length, kept in zip(pixels.shape[1:], size, strict=True))
    return pixels[:, y : y + size[0], x : x + size[1]]


class Batches(Sampler[list[Key]]):
    """Keys of one micro-batch after the other, all epochs through, from any of them on; a process's own share.

    Each epoch has an order of its own; what does not fill a step is left out.
    """

    def __init__(
        self, count: int, batch: int, epochs: int, seed: int, *, micro: int, start: int = 0, rank: int = 0,
        world: int = 1,
    ) -> None:  # fmt: skip
        self.count, self.batch, self.epochs, self.seed = count, batch, epochs, seed
        self.micro, self.start, self.rank, self.world = micro, start, rank, world

    def __len__(self) -> int:
        return self.epochs * self.micro - self.start

    def __iter__(self) -> Iterator[list[Key]]:
        for epoch in range(self.start // self.micro, self.epochs):
            order = torch.randperm(self.count, generator=torch.Generator().manual_seed(1000 * self.seed + epoch))
            own = order[self.rank :: self.world].tolist()
            first = self.start % self.micro if epoch == self.start // self.micro else 0
            for number in range(first, self.micro):
                yield [(epoch, i) for i in own[number * self.batch : (number + 1) * self.batch]]


class InOrder(Sampler[list[Key]]):
    """All pictures as they are, a batch after the other; a process's own share."""

    def __init__(self, count: int, batch: int, *, rank: int = 0, world: int = 1) -> None:
        self.numbers, self.batch = list(range(rank, count, world)), batch

    def __len__(self) -> int:
        return -(-len(self.numbers) // self.batch)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.numbers), self.batch):
            yield [(AS_IT_IS, i) for i in self.numbers[start : start + self.batch]]


# --- sources ---


def tree(folder: Path) -> tuple[Listed, Listed | None, tuple[str, ...]]:
    """Training pictures, test pictures where there are any, and class names; a folder a class.

    Raises:
        ImageError: for a folder without such folders, or test classes that were not trained.
    """
    if (folder / "images.txt").is_file():
        return cub(folder)
    parts = {name: folder / name for name in ("train", "test") if (folder / name).is_dir()}
    files, names = labelled_pictures(parts.get("train", folder))
    classes = tuple(sorted(set(names)))
    number = {name: i for i, name in enumerate(classes)}
    train = Listed(tuple(files), tuple(number[name] for name in names))
    if set(parts) != {"train", "test"}:
        return train, None, classes
    files, names = labelled_pictures(parts["test"])
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise ImageError(f"{str(parts['test'])!r} has a class {unknown[0]!r} that {str(parts['train'])!r} has not.")
    return train, Listed(tuple(files), tuple(number[name] for name in names)), classes


def cub(folder: Path) -> tuple[Listed, Listed | None, tuple[str, ...]]:
    """The layout of CUB-200-2011 (Wah et al., 2011): lists by number of picture, and its own split."""

    def column(name: str) -> dict[str, str]:
        try:
            lines = (folder / name).read_text(encoding="utf-8").splitlines()
            return dict(line.split(maxsplit=1) for line in lines if line.strip())
        except (OSError, ValueError) as error:
            raise ImageError(f"Cannot read {name} in {str(folder)!r}, as CUB-200-2011 has it: {error}.") from error

    files, labels, training = (
        column(name) for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    names = column("classes.txt") if (folder / "classes.txt").is_file() else {}
    numbers = sorted(set(labels.values()), key=int)
    classes = tuple(names.get(number, number).split(".", 1)[-1].replace("_", " ") for number in numbers)
    place = {number: i for i, number in enumerate(numbers)}

    def listed(flag: str) -> Listed:
        chosen = [key for key in files if training[key] == flag]
        return Listed(
            tuple(folder / "images" / files[key] for key in chosen), tuple(place[labels[key]] for key in chosen)
        )

    return listed("1"), listed("0"), classes


def held_out(targets: Sequence[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers to learn from, and of each class a share, one at least, to choose the best epoch by."""
    order = np.random.default_rng([seed, VALIDATION]).permutation(len(targets))
    by_class: dict[int, list[int]] = {}
    for number in order.tolist():
        by_class.setdefault(targets[number], []).append(number)
    held = {number for own in by_class.values() if len(own) > 1 for number in own[: max(1, round(share * len(own)))]}
    return [i for i in range(len(targets)) if i not in held], sorted(held)


def of(listed: Listed, numbers: Sequence[int]) -> Listed:
    """Some of them."""
    cameras = tuple(listed.cameras[i] for i in numbers) if listed.cameras else ()
    return Listed(tuple(listed.files[i] for i in numbers), tuple(listed.targets[i] for i in numbers), cameras)


def open_folder(settings: Settings, like: Preprocessing | None) -> Sources:
    """The pictures of a folder; `like` is how the backbone's own training took its pictures."""
    listed, test, classes = tree(Path(settings.data))
    own = like or Preprocessing((settings.side, settings.side))
    preprocessing = Preprocessing(
        (settings.side, settings.side), resize="short", resize_to=round(settings.side / settings.crop),
        mean=own.mean, std=own.std,
    )  # fmt: skip
    learnt, held = held_out(listed.targets, settings.validation, settings.seed)
    if not held:
        raise ImageError(f"{settings.data!r} has one picture a class: there is nothing to hold out for validation.")
    return Sources(
        Files(of(listed, learnt), settings, preprocessing),
        Files(of(listed, held), settings, preprocessing),
        Files(test or Listed((), ()), settings, preprocessing),
        classes,
        preprocessing,
    )


def open_world(settings: Settings, workers: int = 0) -> Generator[tuple[int, int], None, Sources]:
    """Drawn birds, kept in memory; validation pictures are drawn for themselves. Yields how many of how many."""
    from foveal.world import SPECIES
    from foveal.world.dataset import PREPROCESSING, SplitDataset
    from foveal.world.learn_species import TrainingScenes
    from foveal.world.splits import Split

    held = max(1, round(settings.validation * settings.images))
    kinds: tuple[Dataset[Any], ...] = (
        TrainingScenes(settings.images - held, settings.seed),
        SplitDataset(Split("species", held, train=True, seed=settings.seed + VALIDATION)),
        SplitDataset(Split("species", settings.tests)),
    )
    kept, done = [], 0
    for scenes in kinds:
        pairs = []
        for images, targets in DataLoader(scenes, batch_size=50, num_workers=workers):
            pairs.append((images, targets))
            done += len(images)
            yield done, settings.images + settings.tests
        images, targets = (torch.cat(each) for each in zip(*pairs, strict=True))
        kept.append(Kept(images, targets, settings, PREPROCESSING))
    train, validation, test = kept
    return Sources(train, validation, test, SPECIES, PREPROCESSING)
