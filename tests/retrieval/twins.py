"""A noisy world of features and the metrics as plain loops, for several test files."""

import numpy as np


def world(seed=0, n_query=30, n_gallery=200, width=8, n_ids=12, n_cams=4):
    """Noisy identities with distractors (0), junk (-1) and same-camera images."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_ids + 2, width))
    query_pids = rng.integers(1, n_ids + 1, n_query)
    gallery_pids = rng.integers(-1, n_ids + 1, n_gallery)
    query = centres[query_pids] + rng.normal(size=(n_query, width))
    gallery = centres[gallery_pids] + rng.normal(size=(n_gallery, width))
    cams = rng.integers(1, n_cams + 1, n_query), rng.integers(1, n_cams + 1, n_gallery)
    return query.astype("f"), gallery.astype("f"), query_pids, gallery_pids, *cams


def cosine_distances(query, gallery):
    query = query / np.linalg.norm(query, axis=1, keepdims=True)
    gallery = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    return 1 - query.astype(float) @ gallery.astype(float).T


def listed(distances, query_pid, gallery_pids, query_cam, gallery_cams):
    """Hits of one query's list as the rules are told; ties in the worst order."""
    items = []
    for distance, pid, cam in zip(distances, gallery_pids, gallery_cams, strict=True):
        if pid == -1 or (pid == query_pid and cam == query_cam):
            continue
        items.append((distance, pid == query_pid))
    return [hit for _, hit in sorted(items)]  # False sorts before True


def loop_twin(distances, query_pids, gallery_pids, query_cams, gallery_cams, ap):
    """Plain loops over every list: CMC(1..50), mAP, mINP."""
    cmc, aps, inps = [], [], []
    for i, (pid, cam) in enumerate(zip(query_pids, query_cams, strict=True)):
        hits = listed(distances[i], pid, gallery_pids, cam, gallery_cams)
        if not any(hits):
            continue
        cmc.append([any(hits[:k]) for k in range(1, 51)])
        found, last, area, old = 0, 0, 0.0, 1.0
        for rank, hit in enumerate(hits, 1):
            found += hit
            if ap == "step":
                area += hit * found / rank
            else:
                area += hit * (old + found / rank) / 2
                old = found / rank
            last = rank if hit else last
        aps.append(area / found)
        inps.append(found / last)
    return np.mean(cmc, axis=0), np.mean(aps), np.mean(inps)


def lists(distances, ids, rules, ties="worst"):
    """Every query's list: (score, is it right, gallery index), best first."""
    for query, (pid, cam) in enumerate(zip(ids[0], ids[2], strict=True)):
        items = []
        for j, (other, place) in enumerate(zip(ids[1], ids[3], strict=True)):
            here = place == cam
            dropped = {
                "drop": here and other == pid,
                "keep": False,
                "drop-all": here,
            }[rules.same_camera]
            if other not in rules.junk_pids and not dropped:
                items.append((distances[query][j], other == pid, j))
        yield sorted(
            items, key=lambda item: (item[0], item[1] ^ (ties == "best"), item[2])
        )


def marks_of(hits, ap="step", cmc="first-match", width=12):
    """(CMC, AP, INP) of one ordered list of right and wrong, by its definition."""
    places = [place for place, hit in enumerate(hits) if hit]
    total = 0.0
    for found, place in enumerate(places):
        now = (found + 1) / (place + 1)
        before = found / place if place else 1.0
        total += now if ap == "step" else (before + now) / 2
    alone = [place - found for found, place in enumerate(places)]
    counted = alone[:1] if cmc == "first-match" else alone
    curve = [np.mean([rank < k for rank in counted]) for k in range(1, width + 1)]
    return np.array(curve), total / len(places), len(places) / (places[-1] + 1)
