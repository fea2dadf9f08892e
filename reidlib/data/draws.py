"""tmp"""
import torch
from torch import Tensor
from reidlib.data.splits import integer_hash

class Draws:
    def __init__(self, seed, step, batch, rows=slice(None), device="cpu"):
        self.rows, self.batch, self.device = rows, batch, torch.device(device)
        self.generator = torch.Generator().manual_seed(integer_hash(seed, step) >> 1)
    def uniform(self, *shape, low=0.0, high=1.0):
        drawn = torch.rand(self.batch, *shape, generator=self.generator)
        return (low + (high - low) * drawn[self.rows]).to(self.device)
