"""The chapters as a graph: `snakemake --cores 2`, or `make reproduce`.

Settings, all by `--config`: dataset, root, profile, seed, threads (of one chapter).
On a cluster, add `--executor slurm`.
"""

import sys
from pathlib import Path


workdir: workflow.basedir


# what each chapter reads from chapters before it; 3 waits for the world that chapter 1
# renders, 4 for the R1 of chapter 3, and 7 for the pt-GAN of chapter 4, by themselves
NEEDS = {
    "01_data": [],
    "02_retrieval": ["01_data"],
    "03_baselines": [],
    "04_ptgan": ["01_data"],
    "05_pose_clustering": ["01_data"],
    "06_fusionnet": ["03_baselines", "04_ptgan", "05_pose_clustering"],
    "07_ablations": ["03_baselines", "05_pose_clustering"],
    "08_benchmarks": ["06_fusionnet"],
    "09_robustness": ["03_baselines"],
    "10_your_data": ["01_data"],
}
# chapter 3 makes R1, for which chapter 4 would only wait; 4 takes longest after that;
# 7 comes last of what needs no other chapter, when pt-GAN is likely to be there
FIRST = {
    "03_baselines": 4,
    "02_retrieval": 3,
    "05_pose_clustering": 3,
    "04_ptgan": 2,
    "09_robustness": 1,
    "10_your_data": 1,
}
DATASET = config.get("dataset") or "synthetic"
ROOT = config.get("root") or ""
PROFILE = config.get("profile") or "smoke"
SEED = config.get("seed") or 0
RUN = f"runs/{DATASET}/{PROFILE}" + (f"-seed{SEED}" if SEED else "") + "/chapters"
BASE = Path(workflow.basedir)
SOURCES = sorted(str(path.relative_to(BASE)) for path in BASE.glob("reidlib/**/*.py"))
PAGES = [
    str(path.relative_to(BASE))
    for pattern in "*.yml *.md *.bib results/**/*.* images/* _static/* widgets/*".split()
    for path in sorted(BASE.glob(f"book/{pattern}"))
] + ["CHANGELOG.md", "CONTRIBUTING.md"]


wildcard_constraints:
    chapter=r"\d\d_\w+",


rule all:
    input:
        "book/_build/html/index.html",


rule chapter:
    input:
        lambda wildcards: [f"{RUN}/{name}.ipynb" for name in NEEDS[wildcards.chapter]],
        SOURCES,
        notebook="notebooks/{chapter}.ipynb",
    output:
        f"{RUN}/{{chapter}}.ipynb",
    params:
        python=sys.executable,
        dataset=DATASET,
        root=ROOT,
        profile=PROFILE,
        seed=SEED,
    threads: config.get("threads") or 1
    priority: lambda wildcards: FIRST.get(wildcards.chapter, 0)
    shell:
        "OMP_NUM_THREADS={threads} REIDLIB_WORKERS={threads} "
        "{params.python:q} book/tools.py run "
        "{input.notebook:q} {output:q} -p dataset={params.dataset:q} "
        "-p root={params.root:q} -p profile={params.profile:q} -p seed={params.seed}"


rule book:
    input:
        expand(f"{RUN}/{{chapter}}.ipynb", chapter=NEEDS),
        PAGES,
        tools="book/tools.py",
    output:
        "book/_build/html/index.html",
    params:
        python=sys.executable,
        build=Path(sys.executable).with_name("jupyter-book"),
        chapters=expand(f"{RUN}/{{chapter}}.ipynb", chapter=NEEDS),
    shell:
        "{params.python:q} {input.tools:q} chapters {params.chapters:q} && "
        "{params.build:q} build -q book"
