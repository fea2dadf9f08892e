"""tmp"""
import torch
def to_network(images, draws=None):
    return images.float() / 127.5 - 1
Augment = object
def _shaken(images, draws):
    x = to_network(images)
    x = x * draws.uniform(1,1,1,low=.8)
    m = draws.uniform() < .5
    return torch.where(m[:,None,None,None], x.flip(-1), x)
def encoder_augmentation(strong=False, erasing=0.0):
    return _shaken
def source_augmentation():
    return _shaken
