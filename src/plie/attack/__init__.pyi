from .gradient import FGSM as FGSM
from .gradient import PGD as PGD
from .gradient import Attacked as Attacked
from .spec import parse as parse
