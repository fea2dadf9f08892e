"""What synthetic people wear and carry, and how it shows."""

import colorsys
import dataclasses
import math

import numpy as np
import pytest
import torch

from reidlib.data.synthetic import Crop, Person, Shot, World
from reidlib.data.synthetic.belongings import parked_bicycle
from reidlib.data.synthetic.body import ACTIVITIES, Pose, draw_pose, skeleton
from reidlib.data.synthetic.clothes import lookalike
from reidlib.data.synthetic.outfit import dress
from reidlib.data.synthetic.person import BAGS, GARMENTS, HAIR, LOWERS, PRINTS
from reidlib.data.synthetic.pose import ACTIVITY_SHARES

SIZE = (96, 48)
PLAIN = {
    "garment": "tee",
    "pattern": "plain",
    "print_": "none",
    "sleeve": 0.4,
    "upper": (0.8, 0.8, 0.8),
    "second": (0.7, 0.1, 0.1),
    "lower_type": "trousers",
    "lower_length": 1.0,
    "lower": (0.2, 0.2, 0.3),
    "backpack": False,
    "bag": "none",
    "hat": False,
    "hair_style": "short",
}


@pytest.fixture(scope="module")
def world() -> World:
    return World(0)


@pytest.fixture(scope="module")
def people(world) -> list[Person]:
    return [world.person(pid) for pid in range(1, 801)]


def look(world: World, yaw: float = 0.0, **changes) -> torch.Tensor:
    """(3, H, W) picture of one plainly dressed person, with changes."""
    person = dataclasses.replace(world.person(9), **(PLAIN | changes))
    shot = Shot(person, 0, 1, Pose(yaw=yaw), Crop())
    return world.render([shot], SIZE, nuisance=False)[0][0].int()


@pytest.mark.parametrize(
    ("field", "names"),
    [("garment", GARMENTS), ("lower_type", LOWERS), ("hair_style", HAIR)]
    + [("print_", PRINTS[:-1]), ("bag", BAGS)],
)
def test_every_kind_looks_different(world, field, names):
    def parts(name: str) -> dict:
        length = {"shorts": 0.4, "skirt": 0.4, "long skirt": 0.75}.get(name, 1.0)
        sleeve = {"tee": 0.4, "polo": 0.4, "tank": 0.0}.get(name, 1.0)
        more = {"lower_length": length} if field == "lower_type" else {}
        return {field: name} | more | ({"sleeve": sleeve} if field == "garment" else {})

    pictures = [look(world, 0.9, **parts(name)) for name in names]
    for row, one in enumerate(pictures):
        for other in pictures[:row]:
            assert ((one - other).abs().amax(0) > 12).sum() > 8


@pytest.mark.parametrize(
    "changes",
    [
        {"garment": "jacket", "sleeve": 1.0},
        {"garment": "blazer", "sleeve": 1.0},
        {"garment": "coat", "sleeve": 1.0},
        *({"print_": name} for name in PRINTS[1:]),
    ],
)
def test_front_and_back_of_a_garment_differ(world, changes):
    """The second colour is red: it shows on one side only."""
    red = [
        int(((image[0] - image[1] > 50) & (image[0] - image[2] > 50)).sum())
        for image in (look(world, yaw, **changes) for yaw in (0.0, math.pi))
    ]
    if changes.get("print_") == "back":
        red.reverse()
    assert red[0] > 8 and red[1] < red[0] / 4  # lips are red too


def test_a_backpack_is_behind_and_its_straps_in_front(world):
    packed = {"backpack": True, "pack": (0.1, 0.1, 0.8)}
    blue = []
    for yaw in (0.0, math.pi):
        image = look(world, yaw, **packed)
        blue.append(int((image[2] - image[0] > 60).sum()))
    assert 5 < blue[0] < blue[1] / 2


def test_a_bag_hangs_on_the_side_it_belongs_to(world):
    columns = []
    for side in (-1.0, 1.0):
        bag = {"bag": "hand", "bag_colour": (0.8, 0.1, 0.1), "side": side}
        image = look(world, **bag)
        red = image[0] - image[1] > 60
        columns.append(float(torch.nonzero(red.any(0)).float().mean()))
    assert columns[0] < 20 and columns[1] > 28  # the left is the image's right


def test_pack_and_bag_shares(people):
    assert np.mean([p.backpack for p in people]) == pytest.approx(0.3, abs=0.05)
    assert {p.bag for p in people} == set(BAGS)
    assert {p.garment for p in people} == set(GARMENTS)
    assert {p.lower_type for p in people} == set(LOWERS)
    assert {p.hair_style for p in people} == set(HAIR)
    short = np.mean([p.sleeve < 0.6 for p in people])
    assert short > 0.55  # summer, as in Market-1501


def test_most_clothes_are_black_white_grey_or_blue(people):
    def quiet(colour: tuple[float, float, float]) -> bool:
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        return saturation * value < 0.12 or value < 0.15 or 0.53 < hue < 0.72

    assert np.mean([quiet(p.upper) for p in people]) >= 0.6
    assert np.mean([quiet(p.lower) for p in people]) >= 0.7
    colours = np.array([p.upper for p in people] + [p.second for p in people])
    assert np.ptp(colours, axis=1).max() < 0.75  # nothing glows


def test_a_lookalike_wears_the_same_but_for_a_detail(people):
    rng = np.random.default_rng(3)
    for model, own in zip(people[:60], people[60:120], strict=True):
        twin = lookalike(rng, model, own)
        assert (twin.pid, twin.height, twin.build) == (own.pid, own.height, own.build)
        assert twin.cameras == own.cameras and twin.skin == own.skin
        assert (twin.garment, twin.lower_type) == (model.garment, model.lower_type)
        assert np.abs(np.subtract(twin.upper, model.upper)).max() < 0.08
        assert np.abs(np.subtract(twin.lower, model.lower)).max() < 0.08
        gaps = np.abs(twin.attributes() - model.attributes())
        strangers = np.abs(own.attributes() - model.attributes())
        assert 0.02 < gaps.sum() < strangers.sum() + 4
    again = lookalike(np.random.default_rng(5), people[0], people[1])
    assert again == lookalike(np.random.default_rng(5), people[0], people[1])


def test_a_parked_bicycle_stands_on_the_ground():
    for seed in range(8):
        _, ends = parked_bicycle(np.random.default_rng(seed)).rows()
        reach = np.sqrt((ends[:, :, 1:] ** 2).sum(2))
        low, high = (
            (ends[:, :, 0] - reach).min((0, 1)),
            (ends[:, :, 0] + reach).max((0, 1)),
        )
        assert low[1] == pytest.approx(0, abs=0.02) and 0.9 < high[1] < 1.3
        assert abs(low[0] + high[0]) < 0.3 and 1.2 < high[0] - low[0] < 2.0
        assert high[2] - low[2] < high[0] - low[0]


def test_shares_of_activities_add_up():
    assert sum(ACTIVITY_SHARES) == pytest.approx(1)
    assert (
        max(ACTIVITY_SHARES)
        == dict(zip(ACTIVITIES, ACTIVITY_SHARES, strict=True))["walk"]
    )


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_feet_reach_the_ground(people, activity):
    rng = np.random.default_rng(1)
    for person in people[:20]:
        pose = draw_pose(rng, 0.0, activity)
        body = skeleton(pose, person.height, 0.1, 0.05)
        rows, ends = dress(person, body, activity).rows()
        assert np.isfinite(rows).all() and rows.shape[1] < 90
        reach = np.sqrt((ends[..., 1:, 1] ** 2).sum(2))
        assert abs((ends[..., 0, 1] - reach).min()) < 0.03


@pytest.mark.parametrize("activity", ["push", "ride"])
def test_hands_hold_the_bar(people, activity):
    rng = np.random.default_rng(2)
    for person in people[:10]:
        pose = draw_pose(rng, 0.0, activity)
        body = skeleton(pose, person.height, 0.1, 0.05)
        hands = [(body.points[f"wrist{s}"] + body.points[f"hand{s}"]) / 2 for s in "RL"]
        assert abs(hands[0][1] - hands[1][1]) < 0.12
        _, ends = dress(person, body, activity).rows()
        bars = ends[:, :, 0]
        for hand in hands:
            along = bars[:, 1] - bars[:, 0]
            share = ((hand - bars[:, 0]) * along).sum(1) / (along**2).sum(1)
            near = bars[:, 0] + share.clip(0, 1)[:, None] * along
            level = np.abs(along[:, 1]) < 1e-9  # the bar lies level
            assert np.linalg.norm(near - hand, axis=1)[level].min() < 0.13
