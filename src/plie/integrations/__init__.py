"""The zoo where people already choose activations: transformers, timm.

Each module has one function, ``register``. Names that the library has keep its meaning.
"""
