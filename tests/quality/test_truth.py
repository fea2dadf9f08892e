import numpy as np
import pytest
import torch

from reidlib import stages
from reidlib.data.synthetic import open_world
from reidlib.errors import ReIDDataError
from reidlib.pose import pose_vector, torso_valid
from reidlib.quality import truth
from reidlib.training import to_float


@pytest.fixture(scope="module")
def exam(tiny_run):
    return truth.asked(tiny_run, stages.poses(tiny_run).network, people=4, each=2)


def test_a_source_is_the_persons_own_picture_from_another_camera(tiny_run, exam):
    asked, table = exam.asked, exam.table
    assert 1 < len(np.unique(asked.pids)) <= 4 and len(asked.pids) <= 8
    assert not set(asked.pids) & set(tiny_run.data.train["pid"])
    assert table["pid"].to_numpy()[exam.rows].tolist() == asked.pids.tolist()
    assert table["camid"].to_numpy()[exam.rows].tolist() == asked.camids.tolist()
    assert torch.equal(asked.source, to_float(exam.images[exam.rows.tolist()]))
    assert torso_valid(asked.points).all()
    assert exam.points.shape == (len(table), 25, 2)
    for pid in np.unique(asked.pids):  # one source each
        assert len(np.unique(exam.rows[asked.pids == pid])) == 1


def test_the_truth_is_the_photographs_shot_without_nuisance(tiny_run, exam):
    world, asked = open_world(tiny_run.data.root), exam.asked
    photos = to_float(exam.images)
    for k in range(len(asked.pids)):
        (row,) = np.flatnonzero((photos == asked.photo[k]).all((1, 2, 3)).numpy())
        name = exam.table["path"][row].rpartition("/")[2]
        shot = world.shot(asked.pids[k], int(name.split("_")[2]))
        assert shot.camera != asked.camids[k]
        clean, _, mask = world.render([shot], tiny_run.profile.size, nuisance=False)
        assert torch.equal(to_float(clean)[0], asked.truth[k])
        assert torch.equal(mask[0], asked.mask[k])


def test_the_gallery_holds_all_pictures_but_the_sources(tiny_run, exam):
    gallery = exam.gallery(stages.r2(tiny_run).network)
    count = len(exam.table) - len(np.unique(exam.rows))
    assert len(gallery.features) == len(gallery.pids) == count


def test_a_drawing_is_what_g_makes_of_source_and_pose(tiny_run, exam):
    drawer = stages.ptgan(tiny_run)
    found = truth.drawn(tiny_run, drawer, exam, batch=3)
    eye, g = stages.source_encoder(tiny_run, drawer), drawer.network
    with torch.no_grad():
        seen = g.look(eye, exam.asked.source[:1])
        vectors = torch.as_tensor(pose_vector(exam.asked.points[:1]))
        torch.testing.assert_close(found[:1], g(seen, vectors), atol=1e-4, rtol=1e-4)


def test_people_of_one_camera_cannot_be_asked_for(tiny_run, monkeypatch):
    table, images, points = truth._test_pictures(tiny_run)
    alone = table.assign(camid=1)
    monkeypatch.setattr(truth, "_test_pictures", lambda _: (alone, images, points))
    with pytest.raises(ReIDDataError, match="nobody in .* was seen by two cameras"):
        truth.asked(tiny_run, stages.poses(tiny_run).network)
