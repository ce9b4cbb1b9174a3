from .gradient import FGSM as FGSM
from .gradient import PGD as PGD
from .base import Attacked as Attacked
from .spec import parse as parse
