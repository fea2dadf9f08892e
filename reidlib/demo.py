"""A first result in a minute: rendered people, ranked by the weights that ship."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from reidlib import plots
from reidlib.data.synthetic import World
from reidlib.errors import ReIDConfigError
from reidlib.manifests import make_folder
from reidlib.models import PoseInvariantExtractor
from reidlib.profiles import SHIPPED
from reidlib.retrieval import Ranking, RetrievalResult, evaluate
from reidlib.shipped import shipped
from reidlib.training import extract, to_float, to_uint8

FINDS = 7  # gallery pictures in a line
EACH = 5  # pictures of a person: a query, and four in the gallery


@dataclass(frozen=True)
class Demo:
    """Rank rendered people with the weights that come with the package.

    Attributes:
        out: the picture to write.
        people: how many are rendered.
        seed: of their world.
    """

    out: Path = Path("demo.png")
    people: int = 60
    seed: int = 0

    def run(self) -> int:
        """Render, describe, rank and draw; say how well it went."""
        kinds = FigureCanvasBase.get_supported_filetypes()
        if self.out.suffix.lower().removeprefix(".") not in kinds:
            raise ReIDConfigError(f"--out is {self.out}; give a name in .png or .jpg.")
        if self.people < 2:
            raise ReIDConfigError(f"--people is {self.people}; give 2 or more.")
        if self.seed == SHIPPED.world:
            raise ReIDConfigError(
                f"The weights were trained on the people of seed {self.seed}; give "
                "another."
            )
        shown, table = _rendered(self.people, self.seed)
        images = resize(shown, list(SHIPPED.size), antialias=True)
        asks = table["index"].to_numpy() == 0
        ids = [table[k][m].to_numpy() for k in ("pid", "camid") for m in (asks, ~asks)]
        phi = shipped()
        results, rankings = {}, {}
        for name, network in (("R2", phi.r2), ("full model", phi)):
            features = extract(network, images)
            pair = features[asks], features[~asks]
            results[name] = evaluate(*pair, *ids)
            rankings[name] = Ranking.from_features(*pair, *ids, top_k=FINDS * 2)
            score = results[name]
            print(f"{name:10}  rank-1 {score.cmc[0]:.2f}  mAP {score.mAP:.2f}")
        query = _gained(results)
        plots.style()
        figure = _figure(phi, rankings, shown, images, asks, query)
        make_folder(self.out)
        figure.savefig(self.out, dpi=160)
        print(self.out)
        return 0


def _rendered(people: int, seed: int) -> tuple[Tensor, pd.DataFrame]:
    """Pictures (N, 3, 128, 64) uint8 of people, and who, where and which they are."""
    world = World(seed)
    shots = [world.shot(pid, i) for pid in range(1, people + 1) for i in range(EACH)]
    rows = [(s.person.pid, s.camera, s.index) for s in shots]
    table = pd.DataFrame(rows, columns=["pid", "camid", "index"])
    return world.render(shots)[0], table


def _gained(results: dict[str, RetrievalResult]) -> int:
    """The query whose average precision the drawings raise most."""
    before, after = (results[n].average_precision for n in ("R2", "full model"))
    return int(np.nanargmax(after - before))


@torch.no_grad()
def _figure(
    phi: PoseInvariantExtractor,
    rankings: dict[str, Ranking],
    shown: Tensor,
    images: Tensor,
    asks: np.ndarray,
    query: int,
) -> Figure:
    """The query and its drawings, and a line of finds for each system."""
    asked, found = np.flatnonzero(asks), np.flatnonzero(~asks)
    own = asked[query]
    drawn = to_uint8(phi.generate(to_float(images[[own]]))[0])
    cells: list[Tensor | None] = [shown[own], *drawn]
    cells += [None] * (1 + FINDS - len(cells))
    frames: list[str | None] = [None] * len(cells)
    for ranking in rankings.values():
        top = ranking.top(query, FINDS)
        cells += [shown[own], *shown[found[top["index"].to_numpy()]]]
        frames += [None, *(plots.RIGHT if r else plots.WRONG for r in top["relevant"])]
    names = ["query and\ndrawings", *rankings]
    return plots.picture_grid(
        cells, columns=1 + FINDS, rows=names, frames=frames, height=1.6
    )
