"""The zoo where people already choose activations: transformers, timm.

Each module has one function, ``register``. Names that the library has keep its meaning.

>>> import plie
>>> dir(plie.integrations)
['timm', 'transformers']
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
