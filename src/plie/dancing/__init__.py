"""Dancers whose arms follow a curve: the poses, the steps, and the files made of them."""
