"""Adversarial examples, and what a model is worth against them.

>>> import plie
>>> plie.attack.parse("pgd-50:eps=0.1").length
0.005
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
