"""The benchmark scripts run at a toy size; their figures are for `make bench`."""

import json
import sys

import torch

from tests.benchmarks import bench_images, bench_retrieval, bench_training


def test_every_part_of_the_retrieval_benchmark_prints_its_rows(monkeypatch, capsys):
    toy = "--queries 20 --gallery 120 --width 8 --ids 6 --distractors 50 --block 40"
    toy += " --growth 1 2 --repeats 1 --threads 1"
    monkeypatch.setattr(sys, "argv", ["bench_retrieval.py", *toy.split()])
    before = torch.get_num_threads()
    try:
        bench_retrieval.main()
    finally:
        torch.set_num_threads(before)
    printed = capsys.readouterr().out
    for row in (
        "bare chunked product",
        "bfloat16 products",
        "evaluate_distances",
        "2 x gallery",
        "50 distractors",
        "k_reciprocal_distance",
    ):
        assert row in printed


def test_the_image_benchmark_prints_a_line_for_each_case(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_images.py", "--count=8", "--rounds=1"])
    before = torch.get_num_threads()
    try:
        bench_images.main()
    finally:
        torch.set_num_threads(before)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(bench_images.CASES)
    for line in lines[1:]:
        assert "cache" in line
        assert int(line.split("differ by ")[1].split()[0]) <= 2


def test_every_part_of_the_training_benchmark_prints_its_rows(
    monkeypatch, capsys, tmp_path
):
    toy = f"--toy --threads 1 --repeats 1 --json {tmp_path / 'rows.json'}"
    monkeypatch.setattr(sys, "argv", ["bench_training.py", *toy.split()])
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    before = torch.get_num_threads()
    try:
        bench_training.main()
    finally:
        torch.set_num_threads(before)
    printed = capsys.readouterr().out
    parts = ["extract", "train-r2", "train-gan, ngf 2", "train-fusion", "phi"]
    for part in [*parts, "memory of phi", "memory of train-fusion"]:
        assert f"\n{part} " in printed
    rows = json.loads((tmp_path / "rows.json").read_text())
    for row in rows[:-2]:
        assert row["images_per_s"] > 0
        assert 0 < row["peak_share"] < 2
    assert rows[0]["gflop_per_image"] > 0
    assert set(rows[-2]["peak_mb"]) == {"2", "4"}
    assert set(rows[-1]["peak_mb"]) == {"170", "680"}
