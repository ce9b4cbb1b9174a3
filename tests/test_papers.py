"""The best-known rows against definitions written a second time, from papers and library manuals.

A definition here is the textbook form, however badly it cancels: mpmath has digits to spare.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mpmath import mp, mpf

import plie

POINTS = [
    *(-31.7, -12.3, -6.45, -3.3, -2.7, -2.2, -1.6, -1.1, -0.7, -0.45, -0.15, -0.001),
    *(0.001, 0.13, 0.4, 0.55, 0.8, 1.2, 1.9, 2.35, 2.9, 3.7, 6.8, 11.1, 21.4, 31.7),
]
LOSSLESS = 200  # digits: more than any form below loses at these points

exp, log, sqrt, tanh, erf = mp.exp, mp.log, mp.sqrt, mp.tanh, mp.erf
SELU_ALPHA = mpf("1.6732632423543772848170429916717")
SELU_SCALE = mpf("1.0507009873554804934193349852946")


def logistic(x: Any) -> Any:
    return 1 / (1 + exp(-x))


def softplus(x: Any) -> Any:
    return log(1 + exp(x))


def cdf(x: Any) -> Any:
    return (1 + erf(x / sqrt(2))) / 2


def clamp(x: Any, low: Any, high: Any) -> Any:
    return max(low, min(high, x))


def gelu_tanh(x: Any) -> Any:
    return x / 2 * (1 + tanh(sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)))


def cardinal_sine(x: Any) -> Any:
    return mp.sin(x) / x if x else mpf(1)


def hinge(x: Any) -> Any:
    return max(mpf(0), x)


def pau(x: Any) -> Any:
    a = ["0.02979246", "0.61837738", "2.32335207", "3.05202660", "1.48548002", "0.25103717"]
    b = ["1.14201226", "4.39322834", "0.87154450", "0.34720652"]
    above = sum(mpf(c) * x**k for k, c in enumerate(a))
    return above / (1 + sum(abs(mpf(c) * x**k) for k, c in enumerate(b, 1)))


def s_shaped(x: Any, t_r: Any, a_r: Any, t_l: Any, a_l: Any) -> Any:
    if x >= t_r:
        return t_r + a_r * (x - t_r)
    return x if x > t_l else t_l + a_l * (x - t_l)


TORCH: dict[str, Callable[[Any], Any]] = {
    "celu": lambda x: max(mpf(0), x) + min(mpf(0), exp(x) - 1),
    "elu": lambda x: x if x > 0 else exp(x) - 1,
    "gelu": lambda x: x * cdf(x),
    "gelu_tanh": gelu_tanh,
    "hardshrink": lambda x: x if abs(x) > 0.5 else mpf(0),
    "hardsigmoid": lambda x: clamp(x / 6 + mpf(1) / 2, 0, 1),
    "hardswish": lambda x: x * clamp(x + 3, 0, 6) / 6,
    "hardtanh": lambda x: clamp(x, -1, 1),
    "identity": lambda x: x,
    "leaky_relu": lambda x: hinge(x) + mpf("0.01") * min(mpf(0), x),
    "log_sigmoid": lambda x: log(logistic(x)),
    "mish": lambda x: x * tanh(softplus(x)),
    "prelu": lambda x: hinge(x) + min(mpf(0), x) / 4,
    "relu": hinge,
    "relu6": lambda x: min(max(mpf(0), x), 6),
    "rrelu": lambda x: x if x >= 0 else x * (mpf(1) / 8 + mpf(1) / 3) / 2,
    "selu": lambda x: SELU_SCALE * (hinge(x) + min(mpf(0), SELU_ALPHA * (exp(x) - 1))),
    "sigmoid": logistic,
    "silu": lambda x: x * logistic(x),
    "softplus": softplus,
    "softshrink": lambda x: mp.sign(x) * hinge(abs(x) - mpf(1) / 2),
    "softsign": lambda x: x / (1 + abs(x)),
    "tanh": lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    "tanhshrink": lambda x: x - tanh(x),
    "threshold": lambda x: x if x > 1 else mpf(0),
}
# transformers' ACT2FN, keras.activations, jax.nn, timm.layers, TensorFlow Addons
LIBRARIES: dict[str, Callable[[Any], Any]] = {
    "exp": exp,
    "gelu_10": lambda x: clamp(x * cdf(x), -10, 10),
    "hard_mish": lambda x: x / 2 * clamp(x + 2, 0, 2),
    "laplace": lambda x: (1 + erf((x - mpf("0.707107")) / (mpf("0.282095") * sqrt(2)))) / 2,
    "lisht": lambda x: x * tanh(x),
    "quick_gelu": lambda x: x * logistic(mpf("1.702") * x),
    "snake": lambda x: x + (1 - mp.cos(2 * x)) / 2,
    "sparse_plus": lambda x: mpf(0) if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
    "sparse_sigmoid": lambda x: clamp((x + 1) / 2, 0, 1),
    "sqrt_softplus": lambda x: sqrt(softplus(x)),
    "squared_relu": lambda x: hinge(x) ** 2,
    "squareplus": lambda x: (x + sqrt(x**2 + 4)) / 2,
    "xielu": lambda x: (
        mpf("0.8") * x**2 + x / 2 if x > 0 else mpf("0.8") * (exp(x) - 1 - x) + x / 2
    ),
}
PAPERS: dict[str, Callable[[Any], Any]] = {
    "acon_c": lambda x: mpf("0.75") * x * logistic(mpf("0.75") * x) + x / 4,
    "ada": lambda x: hinge(x) * exp(mpf("-0.3") * x),
    "alrelu": lambda x: x if x > 0 else abs(x / 100),
    "apl": lambda x: hinge(x) - mpf("0.2") * hinge(-x) + mpf("0.1") * hinge(-x - 1),
    "aptx": lambda x: (1 + tanh(x)) * x / 2,
    "aranda_ordaz": lambda x: 1 - (1 + 2 * exp(x)) ** (mpf(-1) / 2),
    "arctid": lambda x: mp.atan(x) ** 2 - x,
    "arelu": lambda x: x * (1 + logistic(2)) if x > 0 else mpf("0.9") * x,
    "aria": lambda x: x * (1 + exp(-2 * x)) ** mpf("-1.5"),
    "asilu": lambda x: mp.atan(x * logistic(x)),
    "asu": lambda x: x * mp.sin(x),
    "bent_identity": lambda x: (sqrt(x**2 + 1) - 1) / 2 + x,
    "bfire": lambda x: x**2 / 2 if abs(x) <= 1 else abs(x) - mpf(1) / 2,
    "brelu": lambda x: min(max(x, mpf(0)), 20),
    "bsilu": lambda x: (x + mpf("1.67")) * logistic(x) - mpf("1.67") / 2,
    "cloglog": lambda x: 1 - exp(-exp(x)),
    "cloglogm": lambda x: 1 - 2 * exp(mpf("-0.7") * exp(x)),
    "colu": lambda x: x / (1 - x * exp(-(x + exp(x)))),
    "cosid": lambda x: mp.cos(x) - x,
    "coslu": lambda x: (x + mp.cos(x)) * logistic(x),
    "derf": lambda x: erf(x / 2),
    "diff_elu": lambda x: (
        x if x >= 0 else mpf("0.3") * (x * exp(x) - mpf("0.1") * exp(mpf("0.1") * x))
    ),
    "displaced_relu": lambda x: max(x, mpf("-0.05")),
    "double_silu": lambda x: x * logistic(x * logistic(x)),
    "dsilu": lambda x: logistic(x) * (1 + x * (1 - logistic(x))),
    "dual_line": lambda x: (x if x > 0 else x / 100) - mpf("0.22"),
    "dyt": lambda x: tanh(x / 2),
    "eanaf": lambda x: x * tanh(softplus(x) / 2),
    "eis1": lambda x: x * softplus(x) / (x + mpf("1.16") * exp(-x)),
    "eis2": lambda x: x * softplus(x) / sqrt(1 + x**2),
    "elish": lambda x: x / (1 + exp(-x)) if x >= 0 else (exp(x) - 1) / (1 + exp(-x)),
    "elliott": lambda x: x / (1 + abs(x)) / 2 + mpf(1) / 2,
    "erf_relu": lambda x: x if x > 0 else erf(x),
    "erfact": lambda x: x * erf(mpf("0.75") * exp(mpf("0.75") * x)),
    "eswish": lambda x: mpf("1.25") * x * logistic(x),
    "exp_expish": lambda x: x * exp(-exp(-x)),
    "flatted_t_swish": lambda x: hinge(x) * logistic(x) - mpf("0.2"),
    "fpflu": lambda x: x if x >= 0 else x + x**2 / sqrt(1 + x**2),
    "frelu": lambda x: hinge(x) - mpf("0.398"),
    "gaussian": lambda x: exp(-(x**2)),
    "gcu": lambda x: x * mp.cos(x),
    "generalized_swish": lambda x: x * logistic(exp(-x)),
    "gish": lambda x: x * log(2 - exp(-exp(x))),
    "gudermannian": lambda x: mp.asin(tanh(x)),
    "hard_elish": lambda x: (
        x * clamp((x + 1) / 2, 0, 1) if x >= 0 else (exp(x) - 1) * clamp((x + 1) / 2, 0, 1)
    ),
    "hexpo": lambda x: 1 - exp(-x) if x >= 0 else exp(x) - 1,
    "hyper_sinh": lambda x: mp.sinh(x) / 3 if x > 0 else x**3 / 4,
    "isrlu": lambda x: x if x >= 0 else x / sqrt(1 + x**2),
    "isru": lambda x: x / sqrt(1 + x**2),
    "lalu": lambda x: x * (1 - exp(-x) / 2 if x >= 0 else exp(x) / 2),
    "leaky_ada": lambda x: min(mpf(0), x) / 100 + hinge(x) * exp(mpf("-0.9") * x),
    "lecun_tanh": lambda x: mpf("1.7159") * tanh(2 * x / 3),
    "legacy_hard_sigmoid": lambda x: clamp(x / 5 + mpf(1) / 2, 0, 1),
    "lelelu": lambda x: x / 2 if x >= 0 else x / 200,
    "log_sqnl": lambda x: (mp.sign(x) * min(abs(x) - x**2 / 4 if abs(x) < 2 else 1, 1) + 1) / 2,
    "logish": lambda x: x * log(1 + logistic(x)),
    "loglog": lambda x: exp(-exp(-x)),
    "loglogish": lambda x: x * (1 - exp(-exp(x))),
    "m_qrelu": lambda x: x if x > 0 else mpf("0.01") * x - x,
    "maxsig": lambda x: max(x, logistic(x)),
    "mila": lambda x: x * tanh(log(1 + exp(x - mpf(1) / 4))),
    "minsin": lambda x: min(x, mp.sin(x)),
    "modified_elliott": lambda x: x / sqrt(1 + x**2) + mpf(1) / 2,
    "mpelu": lambda x: x if x > 0 else (exp(x) - 1) / 4,
    "ncu": lambda x: x - x**3,
    "new_sigmoid": lambda x: (exp(x) - exp(-x)) / sqrt(2 * (exp(2 * x) + exp(-2 * x))),
    "nlrelu": lambda x: log(hinge(x) + 1),
    "parametric_softplus": lambda x: log(1 + exp(10 * x)) / 10,
    "pau": pau,
    "pelu": lambda x: x / mpf("1.5") if x >= 0 else exp(x / mpf("1.5")) - 1,
    "penalized_tanh": lambda x: tanh(x) if x > 0 else tanh(x) / 4,
    "pflu": lambda x: x * (1 + x / sqrt(1 + x**2)) / 2,
    "phish": lambda x: x * tanh(x * cdf(x)),
    "plu": lambda x: max((x + 1) / 10 - 1, min((x - 1) / 10 + 1, x)),
    "polu": lambda x: x if x >= 0 else (1 - x) ** -2 - 1,
    "pserf": lambda x: x * erf(mpf("1.25") * log(1 + exp(mpf("0.85") * x))),
    "pssilu": lambda x: x * (logistic(x) - mpf("0.1")) / mpf("0.9"),
    "ptelu": lambda x: x if x >= 0 else tanh(x),
    "qrelu": lambda x: x if x > 0 else mpf("0.01") * x - 2 * x,
    "rational": lambda x: (
        (mpf("1.1915") * x**3 + mpf("1.5957") * x**2 + x / 2 + mpf("0.0218"))
        / (mpf("2.383") * x**2 + 1)
    ),
    "repu": lambda x: hinge(x) ** 3,
    "resech": lambda x: x / mp.cosh(x),
    "reu": lambda x: x if x > 0 else x * exp(x),
    "rootsig": lambda x: x / (1 + sqrt(1 + x**2)),
    "scaled_sigmoid": lambda x: 4 / (1 + exp(-x)) - 2,
    "sech_sig": lambda x: (x + 1 / mp.cosh(x)) * logistic(x),
    "self_arctan": lambda x: x * mp.atan(x),
    "serf": lambda x: x * erf(softplus(x)),
    "serlu": lambda x: mpf("1.07862") * (x if x >= 0 else mpf("2.90427") * x * exp(x)),
    "sgelu": lambda x: x * erf(x / sqrt(2)),
    "shifted_softplus": lambda x: log(exp(x) / 2 + mpf(1) / 2),
    "siglin": lambda x: logistic(x) + x / 10,
    "sigmoid_algebraic": lambda x: logistic(x * (1 + abs(x)) / (1 + abs(x) * (1 + abs(x)))),
    "sigmoid_gumbel": lambda x: logistic(x) * exp(-exp(-x)),
    "sign_relu": lambda x: x if x >= 0 else x / (1 + abs(x)),
    "sin": mp.sin,
    "sinc": cardinal_sine,
    "sinc_plus_x": lambda x: cardinal_sine(x) + x,
    "sinc_sigmoid": lambda x: cardinal_sine(logistic(x)),
    "sinlu": lambda x: (x + mp.sin(x)) * logistic(x),
    "sinsig": lambda x: x * mp.sin(mp.pi / 2 * logistic(x)),
    "siren": lambda x: mp.sin(30 * x),
    "smish": lambda x: x * tanh(log(1 + logistic(x))),
    "smooth_relu": lambda x: x - log(400 * x + 1) / 400 if x >= 0 else mpf(0),
    "smoothstep": lambda x: mpf(x > 0) if abs(x) > 0.5 else -2 * x**3 + mpf(3) / 2 * x + mpf(1) / 2,
    "smu": lambda x: (mpf("1.01") * x + mpf("0.99") * x * erf(mpf("2.475") * x)) / 2,
    "smu1": lambda x: (mpf("1.25") * x + sqrt((mpf("0.75") * x) ** 2 + 1)) / 2,
    "soft_clipping": lambda x: log((1 + exp(50 * x)) / (1 + exp(50 * (x - 1)))) / 50,
    "soft_exponential": lambda x: (exp(x / 2) - 1) * 2 + mpf(1) / 2,
    "soft_modulus_q": lambda x: x**2 * (2 - abs(x)) if abs(x) <= 1 else abs(x),
    "soft_modulus_t": lambda x: x * tanh(100 * x),
    "soft_plus_plus": lambda x: softplus(x) + x / 2 - log(2),
    "softplus_linear_unit": lambda x: x if x >= 0 else 2 * softplus(x) - 2 * log(2),
    "sqlu": lambda x: x if x > 0 else x + x**2 / 4 if x >= -2 else mpf(-1),
    "sqnl": lambda x: mp.sign(x) if abs(x) > 2 else x - mp.sign(x) * x**2 / 4,
    "squ": lambda x: x**2 + x,
    "square": lambda x: x**2,
    "squish": lambda x: x + x**2 / 32 if x > 0 else x + x**2 / 2 if x >= -2 else mpf(0),
    "srelu": lambda x: s_shaped(x, 1, mpf("0.5"), 0, mpf("0.2")),
    "ssu": lambda x: mp.pi * cardinal_sine(x - mp.pi),
    "stan": lambda x: tanh(x) + x * tanh(x),
    "star_relu": lambda x: mpf("0.8944") * hinge(x) ** 2 - mpf("0.4472"),
    "step": lambda x: mpf(x > 0),
    "swish_beta": lambda x: x / (1 + exp(mpf("-1.5") * x)),
    "symexp": lambda x: mp.sign(x) * (exp(abs(x)) - 1),
    "symlog": lambda x: mp.sign(x) * log(abs(x) + 1),
    "tanh_exp": lambda x: x * tanh(exp(x)),
    "tanh_sig": lambda x: (x + tanh(x)) * logistic(x),
    "tanhlu": lambda x: tanh(x) + x / 10,
    "tanhsoft_1": lambda x: tanh(mpf("0.87") * x) * softplus(x),
    "tanhsoft_2": lambda x: x * tanh(mpf("0.6") * exp(x)),
    "tanhsoft_3": lambda x: log(1 + exp(x) * tanh(mpf("0.85") * x)),
    "tbsrelu": lambda x: x * tanh((1 - exp(-x)) / (1 + exp(-x))),
    "tent": lambda x: hinge(1 - abs(x)),
    "thlu": lambda x: x if x >= 0 else tanh(x / 2),
    "tsilu": lambda x: tanh(x * logistic(x)),
    "tsrelu": lambda x: x * tanh(logistic(x)),
    "very_leaky_relu": lambda x: x if x >= 0 else x / 3,
    "x_asinh_squared": lambda x: x * mp.asinh(x) ** 2,
}
DEFINITIONS = TORCH | LIBRARIES | PAPERS


@pytest.mark.parametrize("name", DEFINITIONS)
def test_row_is_what_its_paper_says(name):
    with mp.workdps(LOSSLESS):
        true = torch.tensor([float(DEFINITIONS[name](mpf(x))) for x in POINTS], dtype=torch.float64)
    got = plie.get(name)(torch.tensor(POINTS, dtype=torch.float64))
    torch.testing.assert_close(got, true, rtol=1e-9, atol=1e-12)


# Every name a library gives an activation, and the row it must mean.
NAMES = {
    "torch.nn": """CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid
        LogSoftmax Mish PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmin Softplus
        Softshrink Softsign Tanh Tanhshrink Threshold Identity""",
    "transformers": """gelu gelu_10=gelu_10 gelu_fast=gelu_tanh gelu_new=gelu_tanh gelu_python=gelu
        gelu_pytorch_tanh=gelu_tanh gelu_python_tanh=gelu_tanh gelu_accurate=gelu_tanh hardswish
        laplace leaky_relu linear=identity mish quick_gelu relu relu2=squared_relu relu6 sigmoid
        silu sqrtsoftplus=sqrt_softplus swish=silu tanh prelu xielu""",
    "keras": """celu elu exponential=exp gelu glu hard_shrink=hardshrink hard_sigmoid=hardsigmoid
        hard_silu=hardswish hard_swish=hardswish hard_tanh=hardtanh leaky_relu linear=identity
        log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink=softshrink softmax
        softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish=silu tanh
        tanh_shrink=tanhshrink threshold""",
    "jax.nn": """celu elu gelu glu hard_sigmoid=hardsigmoid hard_silu=hardswish hard_tanh=hardtanh
        hard_swish=hardswish identity leaky_relu log_sigmoid log_softmax mish relu relu6 selu
        sigmoid silu soft_sign=softsign softmax softplus sparse_plus sparse_sigmoid squareplus
        swish=silu tanh""",
    "timm": """celu elu gelu gelu_tanh hard_mish hard_sigmoid=hardsigmoid hard_swish=hardswish
        leaky_relu mish prelu quick_gelu relu relu6 selu sigmoid silu swish=silu tanh""",
    "tensorflow_addons": """gelu hardshrink lisht mish rrelu snake softshrink sparsemax
        tanhshrink""",
}


@pytest.mark.parametrize("library", NAMES)
def test_names_of_libraries_are_understood(library):
    for entry in NAMES[library].split():
        theirs, _, ours = entry.partition("=")
        row = plie.get(theirs)
        assert row.name == (ours or row.name)
        assert ours or theirs.lower() in {row.name, row.name.replace("_", "")}, theirs
