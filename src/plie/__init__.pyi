from . import data as data
from . import nn as nn
from . import plot as plot
from . import sklearn as sklearn
from . import study as study
from .activation import Activation as Activation
from .activation import Parameter as Parameter
from .activation import Source as Source
from .environment import Info as Info
from .environment import info as info
from .errors import DTypeError as DTypeError
from .errors import FormulaError as FormulaError
from .errors import InputError as InputError
from .errors import ParameterError as ParameterError
from .errors import PlieError as PlieError
from .errors import UnknownNameError as UnknownNameError
from .facts import Facts as Facts
from .many import Networks as Networks
from .models import MLP as MLP
from .recipe import Recipe as Recipe
from .study import Study as Study
from .train import fit as fit
from .zoo import define as define
from .zoo import families as families
from .zoo import get as get
from .zoo import names as names

__version__: str
