"""Learnable: functions whose essence is a parameter learned with the weights."""

from plie.activation import Activation, Parameter, Source

_BISWAS = "Koushik Biswas, Sandeep Kumar, Shilpak Banerjee, Ashish Kumar Pandey"
_TANHSOFT = Source(
    "TanhSoft - a family of activation functions combining Tanh and Softplus",
    _BISWAS,
    arxiv="2009.03863",
)
_ERFACT = Source(
    "ErfAct and Pserf: Non-monotonic Smooth Trainable Activation Functions",
    _BISWAS,
    arxiv="2109.04386",
)

ROWS = (
    Activation(
        name="apl",
        title="APL",
        formula="relu(x) + a_1*relu(b_1 - x) + a_2*relu(b_2 - x)",
        parameters=(
            Parameter("a_1", -0.2, learnable=True),
            Parameter("b_1", 0.0, learnable=True),
            Parameter("a_2", 0.1, learnable=True),
            Parameter("b_2", -1.0, learnable=True),
        ),
        family="learnable",
        year=2014,
        source=Source(
            "Learning Activation Functions to Improve Deep Neural Networks",
            "Forest Agostinelli, Matthew Hoffman, Peter Sadowski, Pierre Baldi",
            arxiv="1412.6830",
        ),
        aliases=("adaptive_piecewise_linear",),
        note="Two of the paper's S hinges, with starting values chosen here.",
    ),
    Activation(
        name="prelu",
        title="PReLU",
        formula="x if x > 0 else weight*x",
        parameters=(Parameter("weight", 0.25, learnable=True),),
        family="learnable",
        year=2015,
        source=Source(
            "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet "
            "Classification",
            "Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
            arxiv="1502.01852",
        ),
    ),
    Activation(
        name="srelu",
        title="SReLU",
        formula=("t_r + a_r*(x - t_r) if x >= t_r else t_l + a_l*(x - t_l) if x <= t_l else x"),
        parameters=(
            Parameter("t_r", 1.0, learnable=True),
            Parameter("a_r", 0.5, learnable=True),
            Parameter("t_l", 0.0, learnable=True),
            Parameter("a_l", 0.2, learnable=True),
        ),
        family="learnable",
        year=2015,
        source=Source(
            "Deep Learning with S-shaped Rectified Linear Activation Units",
            "Xiaojie Jin, Chunyan Xu, Jiashi Feng, Yunchao Wei, Junjun Xiong, Shuicheng Yan",
            arxiv="1512.07030",
        ),
        note="The paper sets t_r from the data; t_r and a_r start here so that all parts show.",
    ),
    Activation(
        name="mpelu",
        title="MPELU",
        formula="x if x > 0 else alpha*expm1(beta*x)",
        parameters=(
            Parameter("alpha", 0.25, learnable=True),
            Parameter("beta", 1.0, learnable=True, low=0),
        ),
        family="learnable",
        year=2016,
        source=Source(
            "Improving Deep Neural Network with Multiple Parametric Exponential Linear Units",
            "Yang Li, Chunxiao Fan, Yong Li, Qiong Wu, Yue Ming",
            arxiv="1606.00305",
        ),
    ),
    Activation(
        name="pelu",
        title="PELU",
        formula="a/b*x if x > 0 else a*expm1(x/b)",
        parameters=(
            Parameter("a", 1.0, learnable=True, low=0.1),
            Parameter("b", 1.5, learnable=True, low=0.1),
        ),
        family="learnable",
        year=2016,
        source=Source(
            "Parametric Exponential Linear Unit for Deep Convolutional Neural Networks",
            "Ludovic Trottier, Philippe Giguère, Brahim Chaib-draa",
            arxiv="1605.09332",
        ),
        note="The paper starts at a = b = 1, which is ELU.",
    ),
    Activation(
        name="soft_exponential",
        title="SoftExponential",
        formula="expm1(alpha*x)/alpha + alpha",
        parameters=(Parameter("alpha", 0.5, learnable=True, low=0.001, high=1),),
        family="learnable",
        year=2016,
        source=Source(
            "A continuum among logarithmic, linear, and exponential functions, and its potential "
            "to improve generalization in neural networks",
            "Luke B. Godfrey, Michael S. Gashler",
            arxiv="1602.01321",
        ),
        note=(
            "Only the exponential side, alpha > 0: alpha = 0 is the identity, and the "
            "logarithmic side is undefined for part of the inputs."
        ),
    ),
    Activation(
        name="frelu",
        title="FReLU",
        formula="relu(x) + b",
        parameters=(Parameter("b", -0.398, learnable=True),),
        family="learnable",
        year=2017,
        source=Source(
            "FReLU: Flexible Rectified Linear Units for Improving Convolutional Neural Networks",
            "Suo Qiu, Xiangmin Xu, Bolun Cai",
            arxiv="1706.08098",
        ),
        aliases=("flexible_relu",),
        note="b starts where a standard normal input gives a mean output of zero.",
    ),
    Activation(
        name="ptelu",
        title="PTELU",
        formula="x if x > 0 else alpha*tanh(beta*x)",
        parameters=(
            Parameter("alpha", 1.0, learnable=True, low=0),
            Parameter("beta", 1.0, learnable=True, low=0),
        ),
        family="learnable",
        year=2017,
        source=Source(
            "P-TELU: Parametric Tan Hyperbolic Linear Unit Activation for Deep Neural Networks",
            "Rahul Duggal, Anubha Gupta",
            where="ICCV Workshops 2017",
        ),
        aliases=("maxtanh",),
        note="Defaults chosen here: with them it is max(x, tanh(x)).",
    ),
    Activation(
        name="swish_beta",
        title="SwishBeta",
        formula="x*sigmoid(beta*x)",
        parameters=(Parameter("beta", 1.5, learnable=True),),
        family="learnable",
        year=2017,
        source=Source(
            "Searching for Activation Functions",
            "Prajit Ramachandran, Barret Zoph, Quoc V. Le",
            arxiv="1710.05941",
        ),
        aliases=("parametric_swish",),
        note="The default is chosen apart from beta = 1, which is SiLU.",
    ),
    Activation(
        name="aria",
        title="ARiA",
        formula="x*exp(-alpha*softplus(-beta*x))",
        parameters=(Parameter("alpha", 1.5, low=0), Parameter("beta", 2.0, low=0)),
        family="learnable",
        year=2018,
        source=Source(
            "ARiA: Utilizing Richard's Curve for Controlling the Non-monotonicity of the "
            "Activation Function in Deep Neural Nets",
            "Narendra Patwardhan, Madhura Ingalhalikar, Rahee Walambe",
            arxiv="1805.08878",
        ),
        aliases=("aria2",),
        note="The paper's two-parameter form, x*sigmoid(beta*x)**alpha, with defaults chosen here.",
    ),
    Activation(
        name="pau",
        title="PAU",
        formula=(
            "(a_0 + a_1*x + a_2*x**2 + a_3*x**3 + a_4*x**4 + a_5*x**5)"
            "/(1 + abs(b_1*x) + abs(b_2*x**2) + abs(b_3*x**3) + abs(b_4*x**4))"
        ),
        parameters=(
            Parameter("a_0", 0.02979246, learnable=True),
            Parameter("a_1", 0.61837738, learnable=True),
            Parameter("a_2", 2.32335207, learnable=True),
            Parameter("a_3", 3.05202660, learnable=True),
            Parameter("a_4", 1.48548002, learnable=True),
            Parameter("a_5", 0.25103717, learnable=True),
            Parameter("b_1", 1.14201226, learnable=True),
            Parameter("b_2", 4.39322834, learnable=True),
            Parameter("b_3", 0.87154450, learnable=True),
            Parameter("b_4", 0.34720652, learnable=True),
        ),
        family="learnable",
        year=2019,
        source=Source(
            "Padé Activation Units: End-to-end Learning of Flexible Activation Functions in Deep "
            "Networks",
            "Alejandro Molina, Patrick Schramowski, Kristian Kersting",
            arxiv="1907.06732",
        ),
        aliases=("pade_activation_unit",),
        note=(
            "Safe form with an absolute value around each term of the denominator, as the "
            "published coefficients (here those for leaky ReLU with slope 0.01) assume."
        ),
    ),
    Activation(
        name="acon_c",
        title="AconC",
        formula="(p1 - p2)*x*sigmoid(beta*(p1 - p2)*x) + p2*x",
        parameters=(
            Parameter("p1", 1.0, learnable=True),
            Parameter("p2", 0.25, learnable=True),
            Parameter("beta", 1.0, learnable=True),
        ),
        family="learnable",
        year=2020,
        source=Source(
            "Activate or Not: Learning Customized Activation",
            "Ningning Ma, Xiangyu Zhang, Ming Liu, Jian Sun",
            arxiv="2009.04759",
        ),
        note="The authors draw p1 and p2 at random; these defaults make it a smooth PReLU.",
    ),
    Activation(
        name="arelu",
        title="AReLU",
        formula="(1 + sigmoid(beta))*x if x > 0 else alpha*x",
        parameters=(
            Parameter("alpha", 0.9, learnable=True, low=0.01, high=0.99),
            Parameter("beta", 2.0, learnable=True),
        ),
        family="learnable",
        year=2020,
        source=Source(
            "AReLU: Attention-based Rectified Linear Unit",
            "Dengsheng Chen, Jun Li, Kai Xu",
            arxiv="2006.13858",
        ),
    ),
    Activation(
        name="pdelu",
        title="PDELU",
        formula=(
            "x if x > 0 else alpha*expm1(log1p((1 - t)*x)/(1 - t)) if (1 - t)*x > -1 else -alpha"
        ),
        parameters=(
            Parameter("alpha", 1.0, learnable=True),
            Parameter("t", 0.9, low=0, high=1, exclusive=True),
        ),
        family="learnable",
        year=2020,
        source=Source(
            "Parametric Deformable Exponential Linear Units for deep neural networks",
            "Qishang Cheng, Hongliang Li, Qingbo Wu, Lei Ma, King Ngi Ngan",
            doi="10.1016/j.neunet.2020.02.012",
        ),
    ),
    Activation(
        name="rational",
        title="Rational",
        formula="(p_3*x**3 + p_2*x**2 + p_1*x + p_0)/(q_2*x**2 + q_1*x + q_0)",
        parameters=(
            Parameter("p_3", 1.1915, learnable=True),
            Parameter("p_2", 1.5957, learnable=True),
            Parameter("p_1", 0.5, learnable=True),
            Parameter("p_0", 0.0218, learnable=True),
            Parameter("q_2", 2.383, learnable=True, low=1),
            Parameter("q_1", 0.0, learnable=True, low=-1, high=1),
            Parameter("q_0", 1.0, learnable=True, low=0.5),
        ),
        family="learnable",
        year=2020,
        source=Source(
            "Rational neural networks",
            "Nicolas Boullé, Yuji Nakatsukasa, Alex Townsend",
            arxiv="2004.01902",
        ),
        note=(
            "Starts close to ReLU on [-1, 1], as in the paper; the bounds keep the denominator "
            "positive throughout training."
        ),
    ),
    Activation(
        name="tanhsoft_1",
        title="TanhSoft1",
        formula="tanh(alpha*x)*softplus(x)",
        parameters=(Parameter("alpha", 0.87, learnable=True),),
        family="learnable",
        year=2020,
        source=_TANHSOFT,
    ),
    Activation(
        name="tanhsoft_2",
        title="TanhSoft2",
        formula="x*tanh(beta*exp(gamma*x))",
        parameters=(
            Parameter("beta", 0.6, learnable=True),
            Parameter("gamma", 1.0, learnable=True),
        ),
        family="learnable",
        year=2020,
        source=_TANHSOFT,
    ),
    Activation(
        name="erfact",
        title="ErfAct",
        formula="x*erf(alpha*exp(beta*x))",
        parameters=(
            Parameter("alpha", 0.75, learnable=True),
            Parameter("beta", 0.75, learnable=True),
        ),
        family="learnable",
        year=2021,
        source=_ERFACT,
    ),
    Activation(
        name="lelelu",
        title="LeLeLU",
        formula="alpha*x if x > 0 else 0.01*alpha*x",
        parameters=(Parameter("alpha", 0.5, learnable=True),),
        family="learnable",
        year=2021,
        source=Source(
            "Learnable Leaky ReLU (LeLeLU): An Alternative Accuracy-Optimized Activation Function",
            "Andreas Maniatopoulos, Nikolaos Mitianoudis",
            doi="10.3390/info12120513",
        ),
        note="Default chosen here: at alpha = 1 it is leaky ReLU.",
    ),
    Activation(
        name="pserf",
        title="Pserf",
        formula="x*erf(gamma*softplus(delta*x))",
        parameters=(
            Parameter("gamma", 1.25, learnable=True),
            Parameter("delta", 0.85, learnable=True),
        ),
        family="learnable",
        year=2021,
        source=_ERFACT,
    ),
    Activation(
        name="tanhsoft_3",
        title="TanhSoft3",
        formula=("x + log(tanh(delta*x) + exp(-x)) if x > 1 else log1p(exp(x)*tanh(delta*x))"),
        parameters=(Parameter("delta", 0.85, learnable=True, low=0.01),),
        family="learnable",
        year=2021,
        source=Source(
            "TanhSoft—Dynamic Trainable Activation Functions for Faster Learning and Better "
            "Performance",
            _BISWAS,
            where="IEEE Access 9, 2021",
        ),
        note=(
            "The paper writes log(1 + exp(x)*tanh(delta*x)), which is the same function; the "
            "default could not be checked against it."
        ),
    ),
    Activation(
        name="sinlu",
        title="SinLU",
        formula="(x + a*sin(b*x))*sigmoid(x)",
        parameters=(Parameter("a", 1.0, learnable=True), Parameter("b", 1.0, learnable=True)),
        family="learnable",
        year=2022,
        source=Source(
            "SinLU: Sinu-Sigmoidal Linear Unit",
            "Ashis Paul, Rajarshi Bandyopadhyay, Jin Hee Yoon, Zong Woo Geem, Ram Sarkar",
            doi="10.3390/math10030337",
        ),
    ),
    Activation(
        name="stan",
        title="Stan",
        formula="tanh(x)*(1 + beta*x)",
        parameters=(Parameter("beta", 1.0, learnable=True),),
        family="learnable",
        year=2022,
        source=Source(
            "Self-scalable Tanh (Stan): Faster Convergence and Better Generalization in "
            "Physics-informed Neural Networks",
            "Raghav Gnanasambandam, Bo Shen, Jihoon Chung, Xubo Yue, Zhenyu Kong",
            arxiv="2204.12589",
        ),
        note="Default chosen here: at beta = 0 it is tanh.",
    ),
    Activation(
        name="tanhlu",
        title="TanhLU",
        formula="alpha*tanh(lambd*x) + beta*x",
        parameters=(
            Parameter("alpha", 1.0, learnable=True),
            Parameter("lambd", 1.0, learnable=True),
            Parameter("beta", 0.1, learnable=True),
        ),
        family="learnable",
        year=2022,
        source=Source(
            "Enhancement of neural networks with an alternative activation function tanhLU",
            "Shui-Long Shen, Ning Zhang, Annan Zhou, Zhen-Yu Yin",
            doi="10.1016/j.eswa.2022.117181",
        ),
        note="The default is chosen apart from beta = 0, which is tanh.",
    ),
    Activation(
        name="coslu",
        title="CosLU",
        formula="(x + a*cos(b*x))*sigmoid(x)",
        parameters=(Parameter("a", 1.0, learnable=True), Parameter("b", 1.0, learnable=True)),
        family="learnable",
        year=2023,
        source=Source(
            "Trainable Activations for Image Classification",
            "Evgenii Pishchik",
            doi="10.20944/preprints202301.0463.v1",
        ),
    ),
    Activation(
        name="xielu",
        title="XIELU",
        formula="alpha_p*x*x + beta*x if x > 0 else alpha_n*(expm1(x) - x) + beta*x",
        parameters=(
            Parameter("alpha_p", 0.8, learnable=True, low=0),
            Parameter("alpha_n", 0.8, learnable=True, low=0),
            Parameter("beta", 0.5),
        ),
        family="learnable",
        year=2024,
        source=Source(
            "Deriving Activation Functions Using Integration",
            "Allen Hao Huang, Imanol Schlag",
            arxiv="2411.13010",
        ),
        note=(
            "alpha_p and alpha_n are the coefficients themselves: the authors' code learns "
            "their softplus inverse (of alpha_n - beta), and clamps x at -1e-6 on the left."
        ),
    ),
    Activation(
        name="derf",
        title="Derf",
        formula="gamma*erf(alpha*x + s) + beta",
        parameters=(
            Parameter("alpha", 0.5, learnable=True),
            Parameter("s", 0.0, learnable=True),
            Parameter("gamma", 1.0, learnable=True),
            Parameter("beta", 0.0, learnable=True),
        ),
        family="learnable",
        year=2025,
        source=Source(
            "Stronger Normalization-Free Transformers",
            "Mingzhi Chen, Taiming Lu, Jiachen Zhu, Mingjie Sun, Zhuang Liu",
            arxiv="2512.10938",
        ),
        aliases=("dynamic_erf",),
    ),
    Activation(
        name="dyt",
        title="DyT",
        formula="gamma*tanh(alpha*x) + beta",
        parameters=(
            Parameter("alpha", 0.5, learnable=True),
            Parameter("gamma", 1.0, learnable=True),
            Parameter("beta", 0.0, learnable=True),
        ),
        family="learnable",
        year=2025,
        source=Source(
            "Transformers without Normalization",
            "Jiachen Zhu, Xinlei Chen, Kaiming He, Yann LeCun, Zhuang Liu",
            arxiv="2503.10622",
        ),
        aliases=("dynamic_tanh",),
    ),
)
