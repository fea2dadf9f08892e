"""tmp"""
import torch
from reidlib.errors import ReIDConfigError
from reidlib.data.splits import integer_hash
class Passes:
    def __init__(self, count, batch, seed):
        self.count, self.batch, self.seed = count, batch, seed
        if batch > count:
            raise ReIDConfigError(f"A batch of {batch} is larger than the {count} pictures")
    def _pass(self, number):
        return torch.randperm(self.count, generator=torch.Generator().manual_seed(integer_hash(self.seed, number) >> 1))
    def __call__(self, step):
        start = (step - 1) * self.batch
        a, b = divmod(start, self.count)
        one = self._pass(a)[b : b + self.batch]
        return one if len(one) == self.batch else torch.cat([one, self._pass(a + 1)[: self.batch - len(one)]])
