"""One training loop: clean or against an adversary, on one machine or on many.

>>> import plie
>>> plie.training.TRADES(beta=4.0)
TRADES(beta=4.0)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
