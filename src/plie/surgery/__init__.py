"""Operations on a model you already have: other activations, fewer units, living units.

Each works on any ``nn.Module`` in place and returns a report of what it did.

>>> from torch import nn
>>> from plie.surgery.swap import swap
>>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
>>> print(swap(model, "relu", "silu"))
1 place replaced: relu → silu
┏━━━━━━━┳━━━━━━┳━━━━━━┳━━━━━━━━┳━━━━━━━┓
┃ place ┃ was  ┃ is   ┃ how    ┃ times ┃
┡━━━━━━━╇━━━━━━╇━━━━━━╇━━━━━━━━╇━━━━━━━┩
│ 1     │ relu │ silu │ module │     1 │
└───────┴──────┴──────┴────────┴───────┘
"""
