"""The world: people from (seed, pid), shots from (seed, pid, index), and pictures."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from reidlib.errors import ReIDConfigError

from .backdrop import Backdrops
from .body import ACTIVITIES, ACTIVITY_SHARES, Pose, draw_pose
from .cameras import CAMERAS, Camera, draw_camera
from .clothes import Person, draw_person, lookalike
from .detector import detect
from .render import Picture, draw

DISTRACTORS = 100_000  # people who are nobody's match have pids from here on
JUNK = 200_000  # people whose every crop is bad have pids from here on
PASSERS = 300_000  # people who walk into the picture have pids from here on
# streams of random numbers
_PERSON, _SHOT, _HEADING, _SCENE, _CAMERA, _TWIN, _WHERE = 0, 1, 2, 3, 4, 6, 7
_CHUNK = {"cpu": 24, "cuda": 256}  # images at once; no effect on their bytes


@dataclass(frozen=True)
class Crop:
    """The detector's box against the person's true box.

    `margin` is its extra height above the head, `dx` and `dy` its shift in box
    heights (to the right, up), `aspect` its width against half its height.
    """

    margin: float = 0.04
    dx: float = 0.0
    dy: float = -0.02
    aspect: float = 0.9


@dataclass(frozen=True)
class Nuisance:
    """What hides or spoils a picture; `render(..., nuisance=False)` leaves it out.

    `rail` is a railing's height in metres (0: none), `bicycle` the seed of one that is
    parked in front (-1: none), `passer` the pid of a person in front (-1: none) at
    `passer_x` metres to the right, `gain` and `contrast` the light of the moment,
    `noise_seed` the sensor's noise.
    """

    rail: float = 0.0
    rail_x: float = 0.0
    bicycle: int = -1
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
    camera: int  # camera id, from 1
    pose: Pose
    crop: Crop = Crop()
    nuisance: Nuisance = Nuisance()
    place: tuple[float, float] = (0.5, 0.3)  # across the scene, and from near to far

    @property
    def facing(self) -> float:
        """Heading in radians in (-pi, pi]: 0 towards the camera, pi/2 image right."""
        return math.pi - (math.pi - self.pose.yaw) % (2 * math.pi)


class World:
    """Everything that a seed decides: cameras, people and shots.

    >>> world = World(seed=0)
    >>> shots = [world.shot(pid=7, index=i) for i in range(3)]
    >>> images, keypoints, masks = world.render(shots)
    >>> images.shape, keypoints.shape
    (torch.Size([3, 3, 128, 64]), torch.Size([3, 25, 3]))

    Args:
        seed: any integer >= 0.
        cameras: how many, or the cameras themselves with ids 1, 2, ...; camera k is
            the same in every world of this seed that has it.
        lookalikes: share of people who are dressed as the person before them.
        occluders: share of shots with a railing, a bicycle or a person in front.
        plain: nobody wears a pattern or a print.
        device: where rays are cast.

    Raises:
        ReIDConfigError: an argument is out of range.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        cameras: int | Sequence[Camera] = 6,
        lookalikes: float = 0.15,
        occluders: float = 0.12,
        plain: bool = False,
        device: str = "cpu",
    ) -> None:
        if seed < 0:
            raise ReIDConfigError(f"seed is {seed}; give an integer of 0 or more.")
        if not 0 <= lookalikes <= 1 or not 0 <= occluders <= 1:
            raise ReIDConfigError(
                f"lookalikes is {lookalikes} and occluders {occluders}; "
                "give shares between 0 and 1."
            )
        self.seed = seed
        if isinstance(cameras, int):
            more = range(len(CAMERAS) + 1, cameras + 1)
            drawn = [draw_camera(self._rng(_CAMERA, k), k) for k in more]
            cameras = (*CAMERAS[:cameras], *drawn)
        self.cameras: tuple[Camera, ...] = tuple(cameras)
        if len(self.cameras) < 2:
            raise ReIDConfigError("a world needs at least 2 cameras.")
        self.lookalikes, self.occluders, self.plain = lookalikes, occluders, plain
        self.device = torch.device(device)
        self._backdrops: Backdrops | None = None
        self._people: dict[int, Person] = {}

    def _rng(self, *keys: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, *keys]))

    @property
    def backdrops(self) -> Backdrops:
        """The cameras' scenery, drawn once."""
        if self._backdrops is None:
            rngs = [self._rng(_SCENE, c.camid) for c in self.cameras]
            self._backdrops = Backdrops(self.cameras, rngs)
            self._backdrops.to(self.device)
        return self._backdrops

    def model(self, pid: int) -> int:
        """Whom a look-alike is dressed as: a pid, or -1 for people of their own."""
        twin = pid > 1 and self._rng(_TWIN, pid).random() < self.lookalikes
        return pid - 1 if twin else -1

    def person(self, pid: int) -> Person:
        """The identity `pid`; equal in worlds of any size."""
        if pid < 0:
            raise ReIDConfigError(f"pid is {pid}; give an integer of 0 or more.")
        if pid not in self._people:
            person = draw_person(self._rng(_PERSON, pid), pid, len(self.cameras))
            model = self.model(pid)
            if model >= 0:
                rng = self._rng(_TWIN, pid, 1)
                person = lookalike(rng, self.person(model), person)
            if self.plain:
                person = replace(person, pattern="plain", print_="none")
            self._people[pid] = person
        return self._people[pid]

    def camera(self, pid: int, index: int) -> int:
        """The camera of a person's index-th picture: each of theirs, then any."""
        seen = self.person(pid).cameras
        if index < len(seen):
            return seen[index]
        return int(self._rng(_WHERE, pid, index).choice(seen))

    def shot(self, pid: int, index: int) -> Shot:
        """The index-th picture of a person; depends on (seed, pid, index) only."""
        if index < 0:
            raise ReIDConfigError(f"index is {index}; give an integer of 0 or more.")
        person = self.person(pid)
        camid = self.camera(pid, index)
        camera = self.cameras[camid - 1]
        rng = self._rng(_SHOT, pid, index)
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
            nuisance=_draw_nuisance(rng, camera, self.occluders),
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
        picture = self.take(shots, size, nuisance)
        return picture.image, picture.keypoints, picture.mask

    def observe(
        self, shots: Sequence[Shot], size: tuple[int, int] = (128, 64)
    ) -> tuple[Tensor, Tensor]:
        """Pictures with nuisance and what a pose detector would report on them.

        Returns:
            images (B, 3, H, W) uint8 and detections (B, 25, 3) float32; a joint that
            is hidden, outside or overlooked is NaN, NaN, 0 (rates: Market's).
        """
        picture = self.take(shots, size)
        return picture.image, self.detections(shots, picture)

    def picture(
        self,
        person: Person,
        pose: Pose,
        camera: int = 1,
        size: tuple[int, int] = (128, 64),
    ) -> Tensor:
        """(3, H, W) uint8: the true picture of a person in a pose, well cropped."""
        return self.render([Shot(person, 0, camera, pose)], size, nuisance=False)[0][0]

    def detections(self, shots: Sequence[Shot], picture: Picture) -> Tensor:
        """(B, 25, 3) what a pose detector would report on pictures just taken."""
        exact, behind = picture.keypoints.numpy(), picture.behind.numpy()
        rows = picture.image.shape[2]
        return torch.from_numpy(detect(self.seed, shots, exact, behind, rows))

    def take(
        self,
        shots: Sequence[Shot],
        size: tuple[int, int] = (128, 64),
        nuisance: bool = True,
    ) -> Picture:
        """`render` with everything that is known about the pictures."""
        if min(size) < 8:
            raise ReIDConfigError(f"size is {size}; give at least 8 by 8 pixels.")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # many small steps: a second thread only waits
        try:
            parts = [*self._chunks(shots, size, nuisance)]
        finally:
            torch.set_num_threads(threads)
        return Picture(*(torch.cat(field) for field in zip(*parts, strict=True)))

    def _chunks(
        self, shots: Sequence[Shot], size: tuple[int, int], nuisance: bool
    ) -> Iterator[Picture]:
        """Pictures chunk by chunk, after an empty one."""
        none = torch.zeros(0, 25, 3)
        images = torch.zeros(0, 3, *size, dtype=torch.uint8)
        mask = torch.zeros(0, *size, dtype=torch.bool)
        yield Picture(images, none, none[..., 0], mask, none)
        step = _CHUNK.get(self.device.type, 64)
        for start in range(0, len(shots), step):
            part = list(shots[start : start + step])
            others = [self._passer(shot) if nuisance else None for shot in part]
            cameras = [self.cameras[shot.camera - 1] for shot in part]
            yield draw(
                part, others, cameras, self.backdrops, size, nuisance, self.device
            )

    def _passer(self, shot: Shot) -> Shot | None:
        """The person in front, walking in the same camera."""
        if shot.nuisance.passer < 0:
            return None
        return replace(self.shot(shot.nuisance.passer, shot.index), camera=shot.camera)


def _draw_crop(rng: np.random.Generator, bad: bool) -> Crop:
    margin, dx, dy = rng.normal((0.02, 0.0, -0.030), (0.050, 0.014, 0.036))
    aspect = float(np.clip(rng.normal(0.84, 0.07), 0.65, 1.1))
    if bad:  # a box that a detector would have to be ashamed of
        side = rng.choice([-1.0, 1.0], 2)
        dx += side[0] * rng.uniform(0.12, 0.3)
        dy += side[1] * rng.uniform(0.15, 0.5)
        margin += rng.choice([-0.55, 0.5])
    return Crop(float(np.clip(margin, -0.6, 0.9)), float(dx), float(dy), aspect)


def _near(rng: np.random.Generator, spread: float) -> float:
    """A factor around 1."""
    return float(np.exp(rng.normal(0, spread)))


def _draw_nuisance(
    rng: np.random.Generator, camera: Camera, occluders: float
) -> Nuisance:
    kind = rng.random() / occluders if occluders else 1.0
    side = rng.choice([-1.0, 1.0])
    return Nuisance(
        rail=float(rng.uniform(0.5, 1.0)) if kind < 0.35 else 0.0,
        rail_x=float(rng.random()),
        bicycle=int(rng.integers(2**31)) if 0.35 <= kind < 0.5 else -1,
        passer=PASSERS + int(rng.integers(10_000)) if 0.5 <= kind < 1 else -1,
        passer_x=float(side * rng.uniform(0.28, 0.5)),
        gain=_near(rng, 0.13),
        contrast=_near(rng, 0.08),
        tint=(_near(rng, 0.02), _near(rng, 0.02), _near(rng, 0.02)),
        blur=float(np.clip(camera.blur + rng.normal(0, 0.15), 0, 1)),
        noise_seed=int(rng.integers(2**31)),
        quality=int(np.clip(camera.quality + rng.integers(-6, 7), 40, 95)),
    )
