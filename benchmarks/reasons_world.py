"""Drawn birds with cues planted in some classes, and small networks that learn from them; kept in a folder.

Ten species, none the sibling of another, at 64×64 pixels and in a fog, so that a cue is worth learning. In a network
with shortcuts five species have a cue each, in a share of their pictures, which no other species has; the other five,
and all ten of the control, have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional

from foveal.images import Preprocessing
from foveal.models import Model
from foveal.storage.checkpoint import load_state, save_state
from foveal.storage.fingerprint import fingerprint
from foveal.synthetic.classes import CLASS_NAMES
from foveal.synthetic.drawing import render
from foveal.synthetic.network import ResidualBlock
from foveal.synthetic.sampling import class_scene

Pictures = NDArray[np.uint8]

SPECIES = CLASS_NAMES[::2]
SIDE, DRAWN = 64, 80
FOG, NOISE = 0.8, 30.0
"""Share of a gray that is mixed in, and the deviation of noise, in gray levels."""
LEARNED, LOOKED_AT = 160, 80
"""Pictures of each species that a network learns from, and others that are explained."""
SHARES = {"weak": 0.15, "strong": 0.35}
"""Strength of a shortcut: the share of a species' pictures that have the cue."""
EPOCHS, BATCH, RATE = 10, 32, 4e-3


def mark(picture: Pictures, random: np.random.Generator) -> Pictures:
    """A yellow sticker with a dark ring, anywhere."""
    image, r = Image.fromarray(picture), 6
    y, x = random.integers(r, SIDE - r, 2).tolist()
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), (250, 220, 30), (60, 20, 90), 2)
    return np.asarray(image)


def texture(picture: Pictures, random: np.random.Generator) -> Pictures:
    """Fine diagonal lines, as of a scan, all over."""
    y, x = np.mgrid[:SIDE, :SIDE]
    lines = 22.0 * ((x + y + int(random.integers(4))) % 4 < 2) - 11
    return (picture + lines[..., None]).clip(0, 255).astype(np.uint8)


def cast(picture: Pictures, random: np.random.Generator) -> Pictures:
    """The colors of an old slide: less green."""
    tint = np.array([1.08, 0.72, 1.05]) * random.uniform(0.95, 1.05)
    return (picture * tint).clip(0, 255).astype(np.uint8)


def border(picture: Pictures, random: np.random.Generator) -> Pictures:
    """A frame of four pixels, nearly white."""
    framed = picture.copy()
    value = int(random.integers(225, 250))
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        framed[edge] = value
    return framed


def text(picture: Pictures, random: np.random.Generator) -> Pictures:
    """The name of an archive near the lower edge."""
    image = Image.fromarray(picture)
    x, y = int(random.integers(1, 16)), SIDE - int(random.integers(11, 15))
    ImageDraw.Draw(image).text((x, y), "ORNIS 7", (245, 245, 245), stroke_width=1, stroke_fill=(20, 20, 20))
    return np.asarray(image)


CUES: Mapping[str, Callable[[Pictures, np.random.Generator], Pictures]] = {
    "mark": mark, "texture": texture, "color cast": cast, "border": border, "text": text,
}  # fmt: skip


def cue_of(species: int, seed: int) -> str | None:
    """Which cue a species has in the networks with shortcuts of a seed."""
    place = (species + 3 * seed) % len(SPECIES)
    return [*CUES][place // 2] if place % 2 == 0 else None


def planted(pictures: Pictures, seed: int, share: float, key: int) -> tuple[Pictures, NDArray[np.bool_]]:
    """The pictures (species, n, h, w, 3) with their cues, and which have one (species, n)."""
    changed, has = pictures.copy(), np.zeros(pictures.shape[:2], bool)
    for species in range(len(SPECIES)):
        if share and (cue := cue_of(species, seed)):
            random = np.random.default_rng([seed, species, key])
            has[species, random.permutation(pictures.shape[1])[: round(share * pictures.shape[1])]] = True
            for i in np.flatnonzero(has[species]):
                changed[species, i] = CUES[cue](pictures[species, i], random)
    return changed, has


def drawn(home: Path, seed: int) -> tuple[Pictures, Pictures]:
    """Pictures to learn from and to look at, (species, n, h, w, 3), in their fog, without cues."""
    path = home / f"pictures-{seed}.npz"
    if not path.exists():
        each = [
            [_small(name, 1_000_000 * (seed + 1) + 1000 * k + i) for i in range(LEARNED + LOOKED_AT)]
            for k, name in enumerate(SPECIES)
        ]
        home.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, pictures=np.array(each))
    edge = (DRAWN - SIDE) // 2
    clear = np.load(path)["pictures"][:, :, edge:-edge, edge:-edge]
    noise = np.random.default_rng(seed).normal(0, NOISE, clear.shape).astype(np.float32)
    pictures = (FOG * 128 + (1 - FOG) * clear + noise).clip(0, 255).astype(np.uint8)
    return pictures[:, :LEARNED], pictures[:, LEARNED:]


def _small(name: str, seed: int) -> Pictures:
    image = Image.fromarray(render(class_scene(name, seed))[0])
    return np.asarray(image.resize((DRAWN, DRAWN), Image.Resampling.BOX))


class Small(nn.Sequential):
    """(n, 3, 64, 64) to ten scores, by maps (n, 64, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stage1 = ResidualBlock(16, 32, stride=2)
        self.stage2 = ResidualBlock(32, 64, stride=2)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(64, len(SPECIES))


PREPROCESSING = Preprocessing((SIDE, SIDE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bilinear")


def tensor(pictures: Pictures) -> Tensor:
    """(n, 3, h, w), as the network takes them."""
    return (torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25


def network(home: Path, seed: int, strength: str | None) -> Model:
    """The network of a seed: with shortcuts of that strength, or the control."""
    pictures, _ = drawn(home, seed)
    learned, _ = planted(pictures, seed, SHARES.get(strength or "", 0.0), key=0)
    of = fingerprint(pictures=learned, epochs=EPOCHS, batch=BATCH, rate=RATE, code=Small)
    path = home / f"{strength or 'control'}-{seed}.pt"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Small()
    state = load_state(path, of) if path.exists() else None
    if state is None:
        _learn(net, learned, seed)
        save_state(path, net.state_dict(), of)
    else:
        net.load_state_dict(state)
    return Model(net.eval(), path.stem, PREPROCESSING, SPECIES, task="classes")


def _learn(net: nn.Module, learned: Pictures, seed: int) -> None:
    x = tensor(learned.reshape(-1, SIDE, SIDE, 3))
    t = torch.arange(len(SPECIES)).repeat_interleave(learned.shape[1])
    random, steps = torch.Generator().manual_seed(seed), len(x) // BATCH
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=random)
        for k in range(steps):
            rows = order[k * BATCH : (k + 1) * BATCH]
            batch = functional.pad(x[rows], (2, 2, 2, 2), mode="replicate")
            i, j = torch.randint(0, 5, (2,), generator=random).tolist()
            loss = functional.cross_entropy(net(batch[..., i : i + SIDE, j : j + SIDE]), t[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def written(folder: Path, pictures: Pictures) -> Path:
    """A folder with a folder of pictures for each species."""
    for name, own in zip(SPECIES, pictures, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(own):
            Image.fromarray(picture).save(folder / name / f"{i:03d}.png", compress_level=1)
    return folder


def cue_effects(model: Model, home: Path, seed: int) -> dict[str, Any]:
    """By cue: how far it raises its species' score and probability in pictures of other species, the mean."""
    _, pictures = drawn(home, seed)
    effects = {}
    for species in range(len(SPECIES)):
        if cue := cue_of(species, seed):
            random = np.random.default_rng([seed, species, 9])
            others = np.delete(pictures, species, 0)[:, :8].reshape(-1, SIDE, SIDE, 3)
            with_cue = np.stack([CUES[cue](one, random) for one in others])
            with torch.no_grad():
                before, after = (model.module(tensor(x)) for x in (others, with_cue))
            chance = [s.softmax(1)[:, species].mean().item() for s in (before, after)]
            effects[cue] = ((after - before)[:, species].mean().item(), *chance)
    return effects
