"""The index against a sort of all distances; FAISS where it is installed."""

import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.errors import ReIDConfigError, ReIDDataError
from reidlib.retrieval import GalleryIndex, Ranking, index


def rows(seed, n=50, d=6):
    return np.random.default_rng(seed).normal(size=(n, d)).astype("f4")


def loop_twin(features, ids, queries, k, metric):
    """Sort the whole gallery of each query by distance, then id."""
    answers, distances = [], []
    for q in queries.astype(float):
        if metric == "cosine":
            unit = features / np.linalg.norm(features, axis=1, keepdims=True)
            far = 1 - unit @ q / np.linalg.norm(q)
        else:
            far = np.linalg.norm(features - q, axis=1)
        best = sorted(zip(far.round(5), ids, far, strict=True))[:k]
        answers.append([i for _, i, _ in best])
        distances.append([d for _, _, d in best])
    return np.array(answers), np.array(distances)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 99),
    metric=st.sampled_from(["cosine", "euclidean"]),
    part=st.integers(1, 20),
    k=st.integers(1, 60),
    removed=st.integers(0, 49),
)
def test_search_agrees_with_a_full_sort(seed, metric, part, k, removed):
    rng = np.random.default_rng(seed)
    features = rng.integers(1, 4, (50, 2)).astype("f4")  # many ties
    queries = rng.integers(1, 4, (5, 2)).astype("f4")
    ids = rng.permutation(200)[:50]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "PART_ROWS", part)
        patch.setattr(index, "QUERY_ROWS", 2)
        gallery = GalleryIndex(2, metric=metric)
        for start in range(0, 50, 7):
            gallery.add(features[start : start + 7], ids[start : start + 7])
        gallery.remove(ids[:removed])
        found = gallery.search(queries, k)
    left = slice(removed, None)
    wanted, distances = loop_twin(features[left], ids[left], queries, k, metric)
    assert len(gallery) == 50 - removed
    assert found.ids.shape == (5, min(k, 50 - removed))
    np.testing.assert_allclose(found.distances, distances, atol=2e-3)
    if metric == "euclidean":  # whole numbers: exact ties
        np.testing.assert_array_equal(found.ids, wanted)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_search_is_what_a_ranking_says(metric):
    queries, gallery = rows(0, 8), rows(1)
    searched = GalleryIndex(6, metric=metric)
    searched.add(torch.from_numpy(gallery))
    ranking = Ranking.from_features(queries, gallery, metric=metric, top_k=9)
    found = searched.search(queries, 9)
    np.testing.assert_array_equal(found.ids, ranking.indices)
    np.testing.assert_allclose(found.distances, ranking.distances, atol=1e-5)


def test_ids_go_on_from_the_largest():
    gallery = GalleryIndex(6)
    assert gallery.add(rows(0, 3), [4, 9, 2]).tolist() == [4, 9, 2]
    assert gallery.add(rows(1, 2)).tolist() == [10, 11]
    assert 9 in gallery
    gallery.remove(9)
    assert 9 not in gallery
    gallery.add(rows(2, 1), [9])
    assert len(gallery) == 5


def test_the_index_keeps_a_copy_of_its_own():
    mine = torch.from_numpy(rows(0))
    gallery = GalleryIndex(6, metric="euclidean")
    gallery.add(mine)
    before = gallery.search(rows(1, 2)).distances
    mine *= 3
    np.testing.assert_array_equal(gallery.search(rows(1, 2)).distances, before)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_saved_index_answers_the_same(metric, tmp_path):
    gallery = GalleryIndex(6, metric=metric)
    gallery.add(rows(0), np.arange(50)[::-1] * 3)
    gallery.remove([0, 27])
    path = tmp_path / "deep" / "gallery.safetensors"
    gallery.save(path)
    again = GalleryIndex.load(path)
    assert (len(again), again.metric, again.backend) == (48, metric, "exact")
    for a, b in zip(again.search(rows(1)), gallery.search(rows(1)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert again.add(rows(2, 1)).tolist() == [148]


def test_an_empty_index_can_be_saved(tmp_path):
    GalleryIndex(6).save(tmp_path / "none.safetensors")
    assert len(GalleryIndex.load(tmp_path / "none.safetensors")) == 0


def test_agreement_is_the_share_of_common_answers():
    whole, part = GalleryIndex(6), GalleryIndex(6)
    whole.add(rows(0))
    part.add(rows(0)[:25])
    queries = rows(1, 20)
    assert whole.agreement(whole, queries, 5) == 1
    exact = whole.search(queries, 5).ids
    wanted = np.mean([[i in part for i in row] for row in exact])
    assert part.agreement(whole, queries, 5) == pytest.approx(wanted)


def test_broken_files_are_told(tmp_path):
    gallery = GalleryIndex(6)
    gallery.add(rows(0))
    path = tmp_path / "g.safetensors"
    gallery.save(path)
    about = tmp_path / "g.index.json"
    note = json.loads(about.read_text())
    with pytest.raises(ReIDDataError, match="does not describe an index"):
        GalleryIndex.load(tmp_path / "other.safetensors")
    about.write_text(json.dumps(note | {"size": 49}))
    with pytest.raises(ReIDDataError, match="holds 50 images, but 49"):
        GalleryIndex.load(path)
    about.write_text(json.dumps(note | {"format": "x"}))
    with pytest.raises(ReIDDataError, match="its format is 'x'"):
        GalleryIndex.load(path)
    about.write_text(json.dumps(note))
    path.write_bytes(b"nothing")
    with pytest.raises(ReIDDataError, match="not the features of an index"):
        GalleryIndex.load(path)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g: g.add(rows(0, 2, 5)), ReIDConfigError, "5 columns and the index 6"),
        (lambda g: g.add(rows(0, 2), [1, 1]), ReIDConfigError, "each once"),
        (lambda g: g.add(rows(0, 2), [-1, 60]), ReIDConfigError, "0 or more"),
        (lambda g: g.add(rows(0, 1), [3]), ReIDConfigError, "not in the index yet"),
        (lambda g: g.add(rows(0, 2), [0.5, 3]), ReIDConfigError, "whole numbers"),
        (lambda g: g.add(rows(0, 2) * np.nan), ReIDDataError, "NaN"),
        (lambda g: g.add(np.zeros((1, 6))), ReIDDataError, "no direction"),
        (lambda g: g.remove([3, 77]), ReIDConfigError, "id 77 is not in the index"),
        (lambda g: g.search(rows(0, 2), 0), ReIDConfigError, "k is 0"),
        (lambda g: g.search(rows(0, 2, 7)), ReIDConfigError, "queries have 7"),
        (lambda g: GalleryIndex(6).search(rows(0, 2)), ReIDDataError, "empty"),
        (lambda g: GalleryIndex(0), ReIDConfigError, "dim is 0"),
        (lambda g: GalleryIndex(6, metric="l1"), ReIDConfigError, "metric='l1'"),
        (lambda g: GalleryIndex(6, backend="hnsw"), ReIDConfigError, "backend='hnsw'"),
    ],
)
def test_wrong_use_is_refused(call, error, words):
    gallery = GalleryIndex(6)
    gallery.add(rows(0))
    with pytest.raises(error, match=words):
        call(gallery)


@pytest.mark.parametrize("backend", ["flat", "ivfpq"])
def test_missing_faiss_names_the_extra(backend, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ReIDConfigError, match=r"reidlib\[search\]"):
        GalleryIndex(6, backend=backend)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("backend", ["flat", "ivfpq"])
def test_faiss_answers_like_the_exact_index(backend, metric, tmp_path, monkeypatch):
    pytest.importorskip("faiss", reason="FAISS comes with the extra [search]")
    monkeypatch.setattr("reidlib.retrieval.faissindex.BITS", 4)  # trains fast
    gallery, queries = rows(0, 2000, 16), rows(1, 30, 16)
    exact = GalleryIndex(16, metric=metric)
    faiss = GalleryIndex(16, metric=metric, backend=backend)
    for one in (exact, faiss):
        one.add(gallery[:1500])
        one.add(gallery[1500:])
        one.remove(np.arange(0, 2000, 5))
    assert faiss.agreement(exact, queries, 10) > (0.99 if backend == "flat" else 0.5)
    faiss.save(tmp_path / "g.safetensors")
    again = GalleryIndex.load(tmp_path / "g.safetensors")
    assert len(again) == len(exact) == 1600
    assert again.agreement(faiss, queries, 10) == 1
    if backend == "flat":
        np.testing.assert_allclose(
            faiss.search(queries).distances, exact.search(queries).distances, atol=1e-3
        )


def test_too_few_rows_train_no_ivfpq():
    pytest.importorskip("faiss", reason="FAISS comes with the extra [search]")
    with pytest.raises(ReIDDataError, match="needs 256 rows, not 20"):
        GalleryIndex(6, backend="ivfpq").add(rows(0, 20))


def test_indexes_whose_names_share_a_beginning_do_not_share_a_description(tmp_path):
    for name, metric in (("g.a", "euclidean"), ("g.b", "cosine")):
        made = GalleryIndex(6, metric=metric)
        made.add(rows(0))
        made.save(tmp_path / name)
    assert GalleryIndex.load(tmp_path / "g.a").metric == "euclidean"
    assert GalleryIndex.load(tmp_path / "g.b").metric == "cosine"


def test_features_of_another_width_than_described_are_refused(tmp_path):
    path = tmp_path / "gallery.safetensors"
    made = GalleryIndex(6)
    made.add(rows(0))
    made.save(path)
    note = tmp_path / "gallery.index.json"
    about = json.loads(note.read_text())
    note.write_text(json.dumps(about | {"dim": 4}))
    with pytest.raises(ReIDDataError, match="where 4 columns were saved"):
        GalleryIndex.load(path)
    del about["dim"]
    note.write_text(json.dumps(about))
    with pytest.raises(ReIDDataError, match="does not describe an index"):
        GalleryIndex.load(path)
