"""The world: people from (seed, pid), shots from (seed, pid, index), and pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from reidlib.errors import ReIDConfigError

from .body import ACTIVITIES, ACTIVITY_SHARES, Pose, draw_pose
from .cameras import CAMERAS, Camera
from .clothes import Person, draw_person
from .render import Picture, develop, draw
from .scenery import panorama

DISTRACTORS = 100_000  # people who are nobody's match have pids from here on
JUNK = 200_000  # people whose every crop is bad have pids from here on
_PERSON, _SHOT, _HEADING, _SCENE = range(4)  # streams of random numbers
_CHUNK = 8  # images rendered at once; no effect on their bytes


@dataclass(frozen=True)
class Crop:
    """The detector's box against the person's true box.

    `margin` is its extra height, `dx` and `dy` its shift in box heights (to the
    right, up), `aspect` its width against half its height.
    """

    margin: float = 0.08
    dx: float = 0.0
    dy: float = 0.0
    aspect: float = 1.0


@dataclass(frozen=True)
class Nuisance:
    """What hides or spoils a picture; `render(..., nuisance=False)` leaves it out.

    `rail` is a railing's height in metres (0: none), `passer` the pid of a person in
    front (-1: none) at `passer_x` metres to the right, `gain` and `contrast` the
    light of the moment, `noise_seed` the sensor's noise.
    """

    rail: float = 0.0
    rail_x: float = 0.0
    passer: int = -1
    passer_x: float = 0.0
    gain: float = 1.0
    contrast: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    noise_seed: int = 0
    quality: int = 90


@dataclass(frozen=True)
class Shot:
    """One picture to be taken: who, how, from where, and what goes wrong."""

    person: Person
    index: int
    camera: int  # camera id, 1 to 6
    pose: Pose
    crop: Crop = Crop()
    nuisance: Nuisance = Nuisance()
    place: tuple[float, float] = (0.5, 0.5)  # where in the scene, shares of it

    @property
    def facing(self) -> float:
        """Heading in radians in (-pi, pi]: 0 towards the camera, pi/2 image right."""
        return math.pi - (math.pi - self.pose.yaw) % (2 * math.pi)


class World:
    """Everything that a seed decides: cameras, people and shots.

    Args:
        seed: any integer >= 0.
    """

    def __init__(self, seed: int = 0) -> None:
        if seed < 0:
            raise ReIDConfigError(f"seed is {seed}; give an integer of 0 or more.")
        self.seed = seed
        self.cameras: tuple[Camera, ...] = CAMERAS
        self._scenes: Tensor | None = None
        self._people: dict[int, Person] = {}

    def _rng(self, *keys: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, *keys]))

    @property
    def scenes(self) -> Tensor:
        """(cameras, 3, rows, columns) float32 panoramas, drawn once."""
        if self._scenes is None:
            views = [panorama(c, self._rng(_SCENE, c.camid)) for c in self.cameras]
            self._scenes = torch.from_numpy(np.stack(views))
        return self._scenes

    def person(self, pid: int) -> Person:
        """The identity `pid`; equal in worlds of any size."""
        if pid < 0:
            raise ReIDConfigError(f"pid is {pid}; give an integer of 0 or more.")
        if pid not in self._people:
            rng = self._rng(_PERSON, pid)
            self._people[pid] = draw_person(rng, pid, len(self.cameras))
        return self._people[pid]

    def shot(self, pid: int, index: int) -> Shot:
        """The index-th picture of a person; depends on (seed, pid, index) only."""
        if index < 0:
            raise ReIDConfigError(f"index is {index}; give an integer of 0 or more.")
        person = self.person(pid)
        rng = self._rng(_SHOT, pid, index)
        seen = person.cameras
        camid = seen[index] if index < len(seen) else int(rng.choice(seen))
        camera = self.cameras[camid - 1]
        # a person crosses a camera's view in one direction, and turns a little
        track = self._rng(_HEADING, pid, camid)
        away = track.random() > camera.front
        if rng.random() < 0.12:
            away = not away
        yaw = camera.offset + track.normal(0, camera.spread) + math.pi * away
        yaw += rng.normal(0, 0.2)
        activity = str(rng.choice(ACTIVITIES, p=ACTIVITY_SHARES))
        return Shot(
            person=person,
            index=index,
            camera=camid,
            pose=draw_pose(rng, yaw, activity),
            crop=_draw_crop(rng, pid >= JUNK),
            nuisance=_draw_nuisance(rng, camera),
            place=(float(rng.random()), float(rng.random())),
        )

    def render(
        self,
        shots: Sequence[Shot],
        size: tuple[int, int] = (128, 64),
        nuisance: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take the pictures.

        Args:
            shots: B shots, of any cameras.
            size: (height, width) in pixels.
            nuisance: False leaves out occluders, the light of the moment, blur, noise
                and JPEG; camera, scenery, pose and crop stay.

        Returns:
            images (B, 3, H, W) uint8; exact BODY_25 keypoints (B, 25, 3) float32 in
            pixels, with joints outside the image NaN, NaN, 0 (joints hidden by the
            body keep their place); the person's visible mask (B, H, W) bool.
        """
        images, pictures = self._take(shots, size, nuisance)
        if not pictures:
            empty = torch.zeros(0, *size, dtype=torch.bool)
            return images, torch.zeros(0, 25, 3), empty
        keypoints = torch.cat([p.keypoints for p in pictures])
        return images, keypoints, torch.cat([p.mask for p in pictures])

    def observe(
        self, shots: Sequence[Shot], size: tuple[int, int] = (128, 64)
    ) -> tuple[Tensor, Tensor]:
        """Pictures with nuisance and what a pose detector would report on them.

        Returns:
            images (B, 3, H, W) uint8 and detections (B, 25, 3) float32; a joint that
            is hidden, outside or overlooked is NaN, NaN, 0 (rates: SPEC.md 2.2).
        """
        images, pictures = self._take(shots, size, True)
        exact = torch.cat([p.keypoints for p in pictures]).numpy()
        behind = torch.cat([p.behind for p in pictures]).numpy()
        return images, torch.from_numpy(detect(self.seed, shots, exact, behind))

    def _take(
        self, shots: Sequence[Shot], size: tuple[int, int], nuisance: bool
    ) -> tuple[Tensor, list[Picture]]:
        if min(size) < 8:
            raise ReIDConfigError(f"size is {size}; give at least 8 by 8 pixels.")
        pictures: list[Picture] = []
        images = [torch.zeros(0, 3, *size, dtype=torch.uint8)]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # many small steps: a second thread only waits
        try:
            self._fill(pictures, images, shots, size, nuisance)
        finally:
            torch.set_num_threads(threads)
        return torch.cat(images), pictures

    def _fill(
        self,
        pictures: list[Picture],
        images: list[Tensor],
        shots: Sequence[Shot],
        size: tuple[int, int],
        nuisance: bool,
    ) -> None:
        """Render chunk by chunk."""
        for start in range(0, len(shots), _CHUNK):
            part = list(shots[start : start + _CHUNK])
            others = [self._passer(shot) if nuisance else None for shot in part]
            cameras = [self.cameras[shot.camera - 1] for shot in part]
            picture = draw(part, others, cameras, self.scenes, size, nuisance)
            pictures.append(picture)
            images.append(develop(picture.image, part, cameras, nuisance))

    def _passer(self, shot: Shot) -> Shot | None:
        """The person in front, walking in the same camera."""
        if shot.nuisance.passer < 0:
            return None
        return replace(self.shot(shot.nuisance.passer, shot.index), camera=shot.camera)


def _draw_crop(rng: np.random.Generator, bad: bool) -> Crop:
    margin, dx, dy = rng.normal((0.07, 0.0, 0.0), (0.05, 0.022, 0.02))
    aspect = float(np.clip(rng.normal(0.98, 0.06), 0.8, 1.2))
    if bad:  # a box that a detector would have to be ashamed of
        side = rng.choice([-1.0, 1.0], 2)
        dx += side[0] * rng.uniform(0.12, 0.3)
        dy += side[1] * rng.uniform(0.15, 0.5)
        margin += rng.choice([-0.55, 0.5])
    return Crop(float(np.clip(margin, -0.6, 0.9)), float(dx), float(dy), aspect)


def _near(rng: np.random.Generator, spread: float) -> float:
    """A factor around 1."""
    return float(np.exp(rng.normal(0, spread)))


def _draw_nuisance(rng: np.random.Generator, camera: Camera) -> Nuisance:
    kind = rng.random()
    side = rng.choice([-1.0, 1.0])
    return Nuisance(
        rail=float(rng.uniform(0.5, 1.0)) if kind < 0.06 else 0.0,
        rail_x=float(rng.random()),
        passer=int(rng.integers(300_000, 310_000)) if kind > 0.94 else -1,
        passer_x=float(side * rng.uniform(0.28, 0.5)),
        gain=_near(rng, 0.13),
        contrast=_near(rng, 0.08),
        tint=(_near(rng, 0.02), _near(rng, 0.02), _near(rng, 0.02)),
        blur=float(np.clip(camera.blur + rng.normal(0, 0.15), 0, 1)),
        noise_seed=int(rng.integers(2**31)),
        quality=int(np.clip(camera.quality + rng.integers(-6, 7), 40, 95)),
    )


# How often a detector overlooks a joint that is in view; with the hidden ones
# these give the missing fractions of SPEC.md 2.2.
_OVERLOOKED = np.array(
    [0.02, 0.0, 0.01, 0.08, 0.17, 0.01, 0.07, 0.13, 0.01, 0.01, 0.03, 0.14]
    + [0.01, 0.03, 0.14, 0.1, 0.1, 0.05, 0.03, 0.25, 0.3, 0.22, 0.25, 0.3, 0.22]
)
# How deep, in metres, a joint may lie behind the surface in front of it.
_SEEN_THROUGH = np.array(
    [0.05, 0.5, 0.5, 0.13, 0.08, 0.5, 0.13, 0.08, 0.5, 0.45, 0.3, 0.2, 0.45, 0.3, 0.2]
    + [0.05, 0.05, 0.06, 0.06]
    + [0.1] * 6
)


def detect(
    seed: int, shots: Sequence[Shot], exact: np.ndarray, behind: np.ndarray
) -> np.ndarray:
    """What OpenPose would see.

    Args:
        seed: the world's.
        shots: B shots.
        exact: (B, 25, 3) exact keypoints, missing NaN.
        behind: (B, 25) metres from each joint to the surface before it.

    Returns:
        (B, 25, 3) float32: about a pixel (per 128 rows) of noise, confidence in
        (0, 1], missing NaN, NaN, 0.
    """
    out = exact.copy()
    for row, shot in enumerate(shots):
        keys = [seed, _SHOT, shot.person.pid, shot.index, 1]
        rng = np.random.default_rng(np.random.SeedSequence(keys))
        clarity = rng.beta(6, 1.5)  # one dull picture loses many joints
        hidden = behind[row] > _SEEN_THROUGH
        chance = 1 - (1 - _OVERLOOKED) * (0.45 + 0.55 * clarity) ** 0.1
        lost = hidden | (rng.random(25) < chance) | (rng.random() < 0.03)
        out[row, :, :2] += rng.normal(0, 0.8, (25, 2)).astype(np.float32)
        out[row, :, 2] = np.clip(rng.normal(0.55 + 0.3 * clarity, 0.08, 25), 0.05, 1)
        lost |= ~np.isfinite(exact[row, :, 0])
        out[row, lost] = (np.nan, np.nan, 0)
    return out
