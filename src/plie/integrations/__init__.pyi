from . import keras as keras
from . import lightning as lightning
from . import timm as timm
from . import transformers as transformers
