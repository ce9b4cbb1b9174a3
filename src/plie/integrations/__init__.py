"""Plié where people choose activations, in transformers, timm and Keras, and where they train.

``register`` adds the zoo; names that the library has keep its meaning. ``WatchCallback`` of
lightning and transformers is `plie.watch` for their trainers.

>>> import plie
>>> dir(plie.integrations)
['keras', 'lightning', 'timm', 'transformers']
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
