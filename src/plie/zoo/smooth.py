"""Smooth: smooth rectifiers and self-gated functions, x times a squashing function of x."""

from plie.activation import Activation, Parameter, Source

_GELU = Source(
    "Gaussian Error Linear Units (GELUs)", "Dan Hendrycks, Kevin Gimpel", arxiv="1606.08415"
)
_SMU = Source(
    "SMU: smooth activation function for deep networks using smoothing maximum technique",
    "Koushik Biswas, Sandeep Kumar, Shilpak Banerjee, Ashish Kumar Pandey",
    arxiv="2111.04682",
)
_EIS = Source(
    "EIS -- a family of activation functions combining Exponential, ISRU, and Softplus",
    "Koushik Biswas, Sandeep Kumar, Shilpak Banerjee, Ashish Kumar Pandey",
    arxiv="2009.13501",
)
_PFLU = Source(
    "PFLU and FPFLU: Two novel non-monotonic activation functions in convolutional neural networks",
    "Meng Zhu, Weidong Min, Qi Wang, Song Zou, Xinhao Chen",
    where="Neurocomputing 429, 2021",
)
_SECHSIG = Source(
    "αSechSig and αTanhSig: two novel non-monotonic activation functions",
    "Cemil Közkurt, Serhat Kiliçarslan, Selçuk Baş, Abdullah Elen",
    doi="10.1007/s00500-023-09279-2",
)
_SURVEY = Source(
    "Three Decades of Activations: A Comprehensive Survey of 400 Activation Functions "
    "for Neural Networks",
    "Vladimír Kunc, Jiří Kléma",
    arxiv="2402.09092",
)

ROWS = (
    Activation(
        name="softplus",
        title="Softplus",
        formula="softplus(beta*x)/beta",
        parameters=(Parameter("beta", 1.0, low=0, exclusive=True, aliases=("alpha",)),),
        family="smooth",
        year=2000,
        source=Source(
            "Incorporating Second-Order Functional Knowledge for Better Option Pricing",
            "Charles Dugas, Yoshua Bengio, François Bélisle, Claude Nadeau, René Garcia",
            where="Advances in Neural Information Processing Systems 13, 2000",
        ),
    ),
    Activation(
        name="gelu",
        title="GELU",
        formula="x*Phi(x)",
        family="smooth",
        year=2016,
        source=_GELU,
        aliases=("gelu_python",),
    ),
    Activation(
        name="gelu_tanh",
        title="GELUTanh",
        formula="x*sigmoid(2*sqrt(2/pi)*(x + 0.044715*x**3))",
        family="smooth",
        year=2016,
        source=_GELU,
        aliases=(
            "gelu_new",
            "gelu_pytorch_tanh",
            "gelu_python_tanh",
            "gelu_accurate",
            "gelu_fast",
            "sielu",
        ),
        note="Written with sigmoid(2u) for the paper's (1 + tanh(u))/2, which it equals.",
    ),
    Activation(
        name="quick_gelu",
        title="QuickGELU",
        formula="x*sigmoid(1.702*x)",
        family="smooth",
        year=2016,
        source=_GELU,
    ),
    Activation(
        name="silu",
        title="SiLU",
        formula="x*sigmoid(x)",
        family="smooth",
        year=2016,
        source=_GELU,
        aliases=("swish", "sil", "swish1"),
    ),
    Activation(
        name="bent_identity",
        title="BentIdentity",
        formula="x*x/(2*(sqrt(x*x + 1) + 1)) + x",
        family="smooth",
        year=2017,
        source=Source(
            "Activation function",
            "Wikipedia contributors",
            url="https://en.wikipedia.org/wiki/Activation_function",
        ),
        aliases=("bentid",),
    ),
    Activation(
        name="shifted_softplus",
        title="ShiftedSoftplus",
        formula="log1p(expm1(x)/2) if x < 1 else softplus(x) - log(2)",
        family="smooth",
        year=2017,
        source=Source(
            "SchNet: A continuous-filter convolutional neural network for modeling "
            "quantum interactions",
            "Kristof T. Schütt, Pieter-Jan Kindermans, Huziel E. Sauceda, Stefan Chmiela, "
            "Alexandre Tkatchenko, Klaus-Robert Müller",
            arxiv="1706.08566",
        ),
        aliases=("ssp",),
    ),
    Activation(
        name="eswish",
        title="ESwish",
        formula="beta*x*sigmoid(x)",
        parameters=(Parameter("beta", 1.25, low=0, exclusive=True),),
        family="smooth",
        year=2018,
        source=Source(
            "E-swish: Adjusting Activations to Different Network Depths",
            "Eric Alcaide",
            arxiv="1801.07145",
        ),
        note=(
            "The paper tries beta from 1 to 2 and libraries differ (1.375, 1.5, 1.75); the default "
            "is chosen here."
        ),
    ),
    Activation(
        name="softplus_linear_unit",
        title="SoftplusLinearUnit",
        formula="x if x > 0 else 2*log1p(expm1(x)/2)",
        family="smooth",
        year=2018,
        source=Source(
            "A novel softplus linear unit for deep convolutional neural networks",
            "Huizhen Zhao, Fuxian Liu, Longyue Li, Chang Luo",
            where="Applied Intelligence 48, 2018",
        ),
        aliases=("slu",),
    ),
    Activation(
        name="lisht",
        title="LiSHT",
        formula="x*tanh(x)",
        family="smooth",
        year=2019,
        source=Source(
            "LiSHT: Non-Parametric Linearly Scaled Hyperbolic Tangent Activation Function "
            "for Neural Networks",
            "Swalpa Kumar Roy, Suvojit Manna, Shiv Ram Dubey, Bidyut Baran Chaudhuri",
            arxiv="1901.05894",
        ),
    ),
    Activation(
        name="mila",
        title="Mila",
        formula="x*tanh(softplus(x + beta))",
        parameters=(Parameter("beta", -0.25),),
        family="smooth",
        year=2019,
        source=Source(
            "Mila: Controlling Minima Concavity in Activation Function",
            "Diganta Misra",
            url="https://github.com/digantamisra98/Mila",
        ),
    ),
    Activation(
        name="mish",
        title="Mish",
        formula="x*tanh(softplus(x))",
        family="smooth",
        year=2019,
        source=Source(
            "Mish: A Self Regularized Non-Monotonic Activation Function",
            "Diganta Misra",
            arxiv="1908.08681",
        ),
    ),
    Activation(
        name="sgelu",
        title="SGELU",
        formula="alpha*x*erf(x/sqrt(2))",
        parameters=(Parameter("alpha", 1.0),),
        family="smooth",
        year=2019,
        source=Source(
            "Symmetrical Gaussian Error Linear Units (SGELUs)",
            "Chao Yu, Zhiguo Su",
            arxiv="1911.03925",
        ),
    ),
    Activation(
        name="eis1",
        title="EIS1",
        formula=(
            "x*softplus(x)/(x + delta*exp(-x)) if x > 0"
            " else x*softplus(x)*exp(x)/(x*exp(x) + delta)"
        ),
        parameters=(Parameter("delta", 1.16, low=0.5),),
        family="smooth",
        year=2020,
        source=_EIS,
    ),
    Activation(
        name="eis2",
        title="EIS2",
        formula="x*softplus(x)/sqrt(1 + x*x)",
        family="smooth",
        year=2020,
        source=_EIS,
    ),
    Activation(
        name="gelu_10",
        title="ClippedGELU",
        formula="clip(x*Phi(x), min_val, max_val)",
        parameters=(Parameter("min_val", -10.0), Parameter("max_val", 10.0)),
        family="smooth",
        year=2020,
        source=Source(
            "Integer Quantization for Deep Learning Inference: Principles and Empirical Evaluation",
            "Hao Wu, Patrick Judd, Xiaojie Zhang, Mikhail Isaev, Paulius Micikevicius",
            arxiv="2004.09602",
        ),
        aliases=("clipped_gelu",),
    ),
    Activation(
        name="parametric_softplus",
        title="ParametricSoftplus",
        formula="softplus(alpha*x)/alpha",
        parameters=(Parameter("alpha", 10.0, low=0, exclusive=True),),
        family="smooth",
        year=2020,
        source=Source(
            "Smooth Adversarial Training",
            "Cihang Xie, Mingxing Tan, Boqing Gong, Alan Yuille, Quoc V. Le",
            arxiv="2006.14536",
        ),
        aliases=("psoftplus",),
        note="In arXiv 2402.09092 the name stands for a*(softplus(x) - b), another function.",
    ),
    Activation(
        name="soft_plus_plus",
        title="SoftPlusPlus",
        formula=("log1p(expm1(k*x)/2) + x/c if k*x < 1 else softplus(k*x) + x/c - log(2)"),
        parameters=(
            Parameter("k", 1.0, low=0, exclusive=True),
            Parameter("c", 2.0, low=0, exclusive=True),
        ),
        family="smooth",
        year=2020,
        source=Source(
            "Soft++, a multi-parametric non-saturating non-linearity that improves convergence "
            "in deep neural architectures",
            "Andrei Ciuparu, Adriana Nagy-Dăbâcan, Raul C. Mureşan",
            doi="10.1016/j.neucom.2019.12.014",
        ),
    ),
    Activation(
        name="tanh_exp",
        title="TanhExp",
        formula="x*tanh(exp(x))",
        family="smooth",
        year=2020,
        source=Source(
            "TanhExp: A Smooth Activation Function with High Convergence Speed for "
            "Lightweight Neural Networks",
            "Xinyu Liu, Xiaoguang Di",
            arxiv="2003.09855",
        ),
        aliases=("telu",),
        note="TeLU (arXiv 2402.02790) is the same function.",
    ),
    Activation(
        name="colu",
        title="CoLU",
        formula=(
            "x/(1 - x*exp(-x - exp(x))) if x > 0 else x*exp(x + exp(x))/(exp(x + exp(x)) - x)"
        ),
        family="smooth",
        year=2021,
        source=Source(
            "Deeper Learning with CoLU Activation", "Advait Vagerwal", arxiv="2112.12078"
        ),
    ),
    Activation(
        name="fpflu",
        title="FPFLU",
        formula="x if x > 0 else x/(sqrt(1 + x*x)*(sqrt(1 + x*x) - x))",
        family="smooth",
        year=2021,
        source=_PFLU,
    ),
    Activation(
        name="generalized_swish",
        title="GeneralizedSwish",
        formula="x*sigmoid(exp(-x))",
        family="smooth",
        year=2021,
        source=Source(
            "New activation functions for single layer feedforward neural network",
            "Yılmaz Koçak, Gülesen Üstündağ Şiray",
            doi="10.1016/j.eswa.2020.113977",
        ),
        aliases=("gswish",),
    ),
    Activation(
        name="logish",
        title="Logish",
        formula="alpha*x*log1p(sigmoid(beta*x))",
        parameters=(Parameter("alpha", 1.0), Parameter("beta", 1.0)),
        family="smooth",
        year=2021,
        source=Source(
            "Logish: A new nonlinear nonmonotonic activation function for convolutional "
            "neural network",
            "Hegui Zhu, Huiming Zeng, Jinhai Liu, Xiangde Zhang",
            where="Neurocomputing 458, 2021",
        ),
        note="The defaults are the paper's plain form; its parametric form has beta = 10.",
    ),
    Activation(
        name="pflu",
        title="PFLU",
        formula=("x/2*(1 + x/sqrt(1 + x*x)) if x > 0 else x/2/(sqrt(1 + x*x)*(sqrt(1 + x*x) - x))"),
        family="smooth",
        year=2021,
        source=_PFLU,
    ),
    Activation(
        name="phish",
        title="Phish",
        formula="x*tanh(x*Phi(x))",
        family="smooth",
        year=2021,
        source=Source(
            "Phish: A Novel Hyper-Optimizable Activation Function",
            "Philip Naveen",
            doi="10.36227/techrxiv.17283824.v1",
        ),
    ),
    Activation(
        name="pssilu",
        title="PSSiLU",
        formula="x*(sigmoid(alpha*x) - beta)/(1 - beta)",
        parameters=(
            Parameter("alpha", 1.0, learnable=True, low=0.01),
            Parameter("beta", 0.1, learnable=True, low=0, high=0.99),
        ),
        family="smooth",
        year=2021,
        source=Source(
            "Parameterizing Activation Functions for Adversarial Robustness",
            "Sihui Dai, Saeed Mahloujifar, Prateek Mittal",
            arxiv="2110.05626",
        ),
        note=(
            "beta starts at 0.1, which the authors' code has where beta is fixed; where it is "
            "learned it starts at 0 there, and the function at SiLU."
        ),
    ),
    Activation(
        name="serf",
        title="Serf",
        formula="x*erf(softplus(x))",
        family="smooth",
        year=2021,
        source=Source(
            "SERF: Towards better training of deep neural networks using log-Softplus ERror "
            "activation Function",
            "Sayan Nag, Mayukh Bhattacharyya, Anuraag Mukherjee, Rohit Kundu",
            arxiv="2108.09598",
        ),
    ),
    Activation(
        name="smu",
        title="SMU",
        formula="((1 + alpha)*x + (1 - alpha)*x*erf(mu*(1 - alpha)*x))/2",
        parameters=(Parameter("alpha", 0.01), Parameter("mu", 2.5, learnable=True)),
        family="smooth",
        year=2021,
        source=_SMU,
        note=(
            "Defaults of later implementations; the first ones start at alpha = 0.25 and mu = 1e6, "
            "which is leaky ReLU to the eye."
        ),
    ),
    Activation(
        name="smu1",
        title="SMU1",
        formula="((1 + alpha)*x + sqrt((1 - alpha)**2*x*x + mu*mu))/2",
        parameters=(
            Parameter("alpha", 0.25),
            Parameter("mu", 1.0, learnable=True, low=1e-12),
        ),
        family="smooth",
        year=2021,
        source=_SMU,
        note="mu = 1 is chosen here: implementations start at 4.35e-9, leaky ReLU to the eye.",
    ),
    Activation(
        name="squareplus",
        title="Squareplus",
        formula="(x + sqrt(x*x + b))/2 if x > 0 else b/2/(sqrt(x*x + b) - x)",
        parameters=(Parameter("b", 4.0, low=0, exclusive=True),),
        family="smooth",
        year=2021,
        source=Source(
            "Squareplus: A Softplus-Like Algebraic Rectifier",
            "Jonathan T. Barron",
            arxiv="2112.11687",
        ),
    ),
    Activation(
        name="aptx",
        title="APTx",
        formula="gamma*x*(alpha - 1 + 2*sigmoid(2*beta*x))",
        parameters=(Parameter("alpha", 1.0), Parameter("beta", 1.0), Parameter("gamma", 0.5)),
        family="smooth",
        year=2022,
        source=Source(
            "APTx: better activation function than MISH, SWISH, and ReLU's variants used in "
            "deep learning",
            "Ravin Kumar",
            arxiv="2209.06119",
        ),
        note="Written with 2 sigmoid(2u) - 1 for the paper's tanh(u), which it equals.",
    ),
    Activation(
        name="eanaf",
        title="EANAF",
        formula="x*sigmoid(x - log(2))",
        family="smooth",
        year=2022,
        source=Source(
            "An Efficient Asymmetric Nonlinear Activation Function for Deep Neural Networks",
            "Enhui Chai, Wei Yu, Tianxiang Cui, Jianfeng Ren, Shusheng Ding",
            doi="10.3390/sym14051027",
        ),
    ),
    Activation(
        name="self_arctan",
        title="SelfArctan",
        formula="x*atan(x)",
        family="smooth",
        year=2022,
        source=Source(
            "Multiclass Classification Using Arctangent Activation Function and Its Variations",
            "Talya Tümer Sivri, Nergis Pervan Akman, Ali Berkol",
            where="14th International Conference on Electronics, Computers and "
            "Artificial Intelligence (ECAI), 2022",
        ),
    ),
    Activation(
        name="smish",
        title="Smish",
        formula="alpha*x*tanh(log1p(sigmoid(beta*x)))",
        parameters=(Parameter("alpha", 1.0), Parameter("beta", 1.0)),
        family="smooth",
        year=2022,
        source=Source(
            "Smish: A Novel Activation Function for Deep Learning Methods",
            "Xueliang Wang, Honge Ren, Achuan Wang",
            doi="10.3390/electronics11040540",
        ),
    ),
    Activation(
        name="erf_relu",
        title="ErfReLU",
        formula="x if x > 0 else alpha*erf(x)",
        parameters=(Parameter("alpha", 1.0, learnable=True),),
        family="smooth",
        year=2023,
        source=Source(
            "ErfReLU: Adaptive Activation Function for Deep Neural Network",
            "Ashish Rajanand, Pradeep Singh",
            arxiv="2306.01822",
        ),
        note="Default chosen here.",
    ),
    Activation(
        name="gish",
        title="Gish",
        formula="x*log1p(-expm1(-exp(x)))",
        family="smooth",
        year=2023,
        source=Source(
            "Gish: a novel activation function for image classification",
            "Mustafa Kaytan, İbrahim Berkan Aydilek, Celaleddin Yeroğlu",
            doi="10.1007/s00521-023-09035-5",
        ),
    ),
    Activation(
        name="sech_sig",
        title="SechSig",
        formula="(x + sech(x))*sigmoid(x)",
        family="smooth",
        year=2023,
        source=_SECHSIG,
    ),
    Activation(
        name="tanh_sig",
        title="TanhSig",
        formula="(x + tanh(x))*sigmoid(x)",
        family="smooth",
        year=2023,
        source=_SECHSIG,
    ),
    Activation(
        name="double_silu",
        title="DoubleSiLU",
        formula="x*sigmoid(x*sigmoid(x))",
        family="smooth",
        year=2024,
        source=_SURVEY,
    ),
    Activation(
        name="exp_expish",
        title="ExpExpish",
        formula="x*exp(-exp(-x))",
        family="smooth",
        year=2024,
        source=_SURVEY,
        aliases=("golu",),
        note="GoLU (arXiv 2502.03654) is the same function.",
    ),
    Activation(
        name="lalu",
        title="LaLU",
        formula="x*exp(x)/2 if x < 0 else x*(1 - exp(-x)/2)",
        family="smooth",
        year=2024,
        source=_SURVEY,
    ),
    Activation(
        name="loglogish",
        title="LogLogish",
        formula="-x*expm1(-exp(x))",
        family="smooth",
        year=2024,
        source=_SURVEY,
    ),
    Activation(
        name="thlu",
        title="ThLU",
        formula="x if x > 0 else tanh(x/2)",
        family="smooth",
        year=2024,
        source=_SURVEY,
    ),
    Activation(
        name="bsilu",
        title="BSiLU",
        formula="x*sigmoid(x) + alpha*tanh(x/2)/2",
        parameters=(Parameter("alpha", 1.67),),
        family="smooth",
        year=2025,
        source=Source(
            "The Resurrection of the ReLU",
            "Coşku Can Horuz, Geoffrey Kasenbacher, Saya Higuchi, Sebastian Kairat, "
            "Jendrik Stoltz, Moritz Pesl, Bernhard A. Moser, Christoph Linse, "
            "Thomas Martinetz, Sebastian Otte",
            arxiv="2505.22074",
        ),
        note="Written with tanh for the paper's (x + alpha) sigmoid(x) - alpha/2, which it equals.",
    ),
    Activation(
        name="sqrt_softplus",
        title="SqrtSoftplus",
        formula="sqrt(softplus(x))",
        family="smooth",
        year=2026,
        source=Source(
            "DeepSeek-V4: Towards Highly Efficient Million-Token Context Intelligence",
            "DeepSeek-AI",
            arxiv="2606.19348",
        ),
    ),
)
