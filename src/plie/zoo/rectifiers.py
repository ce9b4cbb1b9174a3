"""Rectifiers: ReLU and its kin, hard (piecewise linear or quadratic) functions, powers and logs."""

from plie.activation import Activation, Parameter, Source

_DEEP_SPEECH = Source(
    "Deep Speech: Scaling up end-to-end speech recognition",
    "Awni Hannun, Carl Case, Jared Casper, Bryan Catanzaro, Greg Diamos, Erich Elsen, "
    "Ryan Prenger, Sanjeev Satheesh, Shubho Sengupta, Adam Coates, Andrew Y. Ng",
    arxiv="1412.5567",
)
_FENCHEL_YOUNG = Source(
    "Learning with Fenchel-Young Losses",
    "Mathieu Blondel, André F. T. Martins, Vlad Niculae",
    arxiv="1901.02324",
)
_MERCIONI = Source(
    "Improving the Accuracy of Deep Neural Networks Through Developing New Activation Functions",
    "Marina Adriana Mercioni, Angel Marcel Tat, Stefan Holban",
    where="IEEE ICCP 2020",
)
_MOBILENET_V3 = Source(
    "Searching for MobileNetV3",
    "Andrew Howard, Mark Sandler, Grace Chu, Liang-Chieh Chen, Bo Chen, Mingxing Tan, "
    "Weijun Wang, Yukun Zhu, Ruoming Pang, Vijay Vasudevan, Quoc V. Le, Hartwig Adam",
    arxiv="1905.02244",
)
_QUANTUM = Source(
    "QReLU and m-QReLU: Two novel quantum activation functions to aid medical diagnostics",
    "Luca Parisi, Daniel Neagu, Renfei Ma, Felician Campean",
    arxiv="2010.08031",
)
_SEARCH = Source(
    "Searching for Activation Functions",
    "Prajit Ramachandran, Barret Zoph, Quoc V. Le",
    arxiv="1710.05941",
)
_SQUARE = Source(
    "Efficient activation functions for embedded inference engines",
    "Adedamola Wuraola, Nitish Patel, Sing Kiong Nguang",
    doi="10.1016/j.neucom.2021.02.030",
)

ROWS = (
    Activation(
        name="step",
        title="Step",
        formula="1 if x > 0 else 0",
        family="rectifier",
        year=1943,
        source=Source(
            "A logical calculus of the ideas immanent in nervous activity",
            "Warren S. McCulloch, Walter Pitts",
            doi="10.1007/BF02478259",
        ),
        aliases=("binary_step", "heaviside"),
    ),
    Activation(
        name="relu",
        title="ReLU",
        formula="x if x > 0 else 0",
        family="rectifier",
        year=1969,
        source=Source(
            "Visual Feature Extraction by a Multilayered Network of Analog Threshold Elements",
            "Kunihiko Fukushima",
            doi="10.1109/TSSC.1969.300225",
        ),
        aliases=("rectifier",),
    ),
    Activation(
        name="hardtanh",
        title="Hardtanh",
        formula="max_val if x >= max_val else x if x > min_val else min_val",
        parameters=(Parameter("min_val", -1.0), Parameter("max_val", 1.0)),
        family="rectifier",
        year=2004,
        source=Source(
            "Large Scale Machine Learning",
            "Ronan Collobert",
            where="PhD thesis, Université Paris VI, 2004",
        ),
    ),
    Activation(
        name="relu6",
        title="ReLU6",
        formula="6 if x >= 6 else x if x > 0 else 0",
        family="rectifier",
        year=2010,
        source=Source(
            "Convolutional Deep Belief Networks on CIFAR-10",
            "Alex Krizhevsky",
            url="https://www.cs.toronto.edu/~kriz/conv-cifar10-aug2010.pdf",
        ),
    ),
    Activation(
        name="leaky_relu",
        title="LeakyReLU",
        formula="x if x > 0 else negative_slope*x",
        parameters=(Parameter("negative_slope", 0.01),),
        family="rectifier",
        year=2013,
        source=Source(
            "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
            "Andrew L. Maas, Awni Y. Hannun, Andrew Y. Ng",
            where="ICML 2013 Workshop on Deep Learning for Audio, Speech and Language Processing",
        ),
        aliases=("lrelu",),
    ),
    Activation(
        name="bfire",
        title="BFire",
        formula="x - a/2 if x > a else x*x/(2*a) if x > -a else -x - a/2",
        parameters=(Parameter("a", 1.0, low=0, exclusive=True),),
        family="rectifier",
        year=2014,
        source=Source(
            "Bi-firing deep neural networks",
            "Jin-Cheng Li, Wing W. Y. Ng, Daniel S. Yeung, Patrick P. K. Chan",
            where="International Journal of Machine Learning and Cybernetics 5, 2014",
        ),
        aliases=("bi_firing", "even_power_linear"),
        note="Default chosen here.",
    ),
    Activation(
        name="brelu",
        title="BReLU",
        formula="a if x >= a else x if x > 0 else 0",
        parameters=(Parameter("a", 20.0, low=0, exclusive=True),),
        family="rectifier",
        year=2014,
        source=_DEEP_SPEECH,
        aliases=("bounded_relu", "clipped_relu"),
        note=(
            "Papers on the bounded ReLU differ in the bound or leave it open; 20 is that of "
            "Deep Speech, 1 gives relun."
        ),
    ),
    Activation(
        name="threshold",
        title="Threshold",
        formula="x if x > threshold else value",
        parameters=(Parameter("threshold", 1.0), Parameter("value", 0.0)),
        family="rectifier",
        year=2014,
        source=Source(
            "Zero-bias autoencoders and the benefits of co-adapting features",
            "Kishore Konda, Roland Memisevic, David Krueger",
            arxiv="1402.3337",
        ),
        aliases=("thresholded_relu", "trec"),
        note="The paper's truncated rectifier has value 0; both arguments are free as in torch.",
    ),
    Activation(
        name="very_leaky_relu",
        title="VeryLeakyReLU",
        formula="x if x > 0 else x/3",
        family="rectifier",
        year=2014,
        source=Source(
            "Spatially-sparse convolutional neural networks",
            "Benjamin Graham",
            arxiv="1409.6070",
        ),
        aliases=("vlrelu",),
    ),
    Activation(
        name="legacy_hard_sigmoid",
        title="LegacyHardSigmoid",
        formula="1 if x >= 2.5 else 0.2*x + 0.5 if x > -2.5 else 0",
        family="rectifier",
        year=2015,
        source=Source("Keras", "François Chollet", url="https://keras.io"),
        aliases=("keras_2_hard_sigmoid", "theano_hard_sigmoid"),
        note="The hard sigmoid of Theano and of Keras before version 3; hardsigmoid is torch's.",
    ),
    Activation(
        name="rrelu",
        title="RReLU",
        formula="x if x > 0 else x*(lower + upper)/2",
        training="x if x > 0 else x*(lower + (upper - lower)*u)",
        parameters=(Parameter("lower", 1 / 8), Parameter("upper", 1 / 3)),
        family="rectifier",
        year=2015,
        source=Source(
            "Empirical Evaluation of Rectified Activations in Convolutional Network",
            "Bing Xu, Naiyan Wang, Tianqi Chen, Mu Li",
            arxiv="1505.00853",
        ),
        aliases=("randomized_leaky_relu",),
        note="The paper divides by a number from U(3, 8); this multiplies by one from U(1/8, 1/3).",
    ),
    Activation(
        name="shifted_relu",
        title="ShiftedReLU",
        formula="x if x > -1 else -1",
        family="rectifier",
        year=2015,
        source=Source(
            "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)",
            "Djork-Arné Clevert, Thomas Unterthiner, Sepp Hochreiter",
            arxiv="1511.07289",
        ),
    ),
    Activation(
        name="sparse_sigmoid",
        title="SparseSigmoid",
        formula="1 if x >= 1 else (x + 1)/2 if x > -1 else 0",
        family="rectifier",
        year=2015,
        source=Source(
            "BinaryConnect: Training Deep Neural Networks with binary weights during propagations",
            "Matthieu Courbariaux, Yoshua Bengio, Jean-Pierre David",
            arxiv="1511.00363",
        ),
        aliases=("binary_hard_sigmoid",),
        note="The paper calls it the hard sigmoid; JAX and Keras call it the sparse sigmoid.",
    ),
    Activation(
        name="taylor_hard_sigmoid",
        title="TaylorHardSigmoid",
        formula="1 if x >= 2 else x/4 + 1/2 if x > -2 else 0",
        family="rectifier",
        year=2016,
        source=Source(
            "Noisy Activation Functions",
            "Caglar Gulcehre, Marcin Moczulski, Misha Denil, Yoshua Bengio",
            arxiv="1603.00391",
        ),
        note="The paper calls it the hard sigmoid; hardsigmoid is torch's.",
    ),
    Activation(
        name="isrlu",
        title="ISRLU",
        formula=(
            "x if x > 0"
            " else -1/sqrt(alpha + 1/(x*x)) if x < -1"
            " else x/sqrt(1 + alpha*x*x)"
        ),
        parameters=(Parameter("alpha", 1.0, low=0, exclusive=True),),
        family="rectifier",
        year=2017,
        source=Source(
            "Improving Deep Learning by Inverse Square Root Linear Units (ISRLUs)",
            "Brad Carlile, Guy Delamarter, Paul Kinney, Akiko Marti, Brian Whitney",
            arxiv="1710.09967",
        ),
    ),
    Activation(
        name="maxsig",
        title="Maxsig",
        formula="max(x, sigmoid(x))",
        family="rectifier",
        year=2017,
        source=_SEARCH,
    ),
    Activation(
        name="flatted_t_swish",
        title="FlattedTSwish",
        formula="x*sigmoid(x) + t if x > 0 else t",
        parameters=(Parameter("t", -0.2),),
        family="rectifier",
        year=2018,
        source=Source(
            "Flatten-T Swish: a thresholded ReLU-Swish-like activation function for deep learning",
            "Hock Hung Chieng, Noorhaniza Wahid, Pauline Ong, Sai Raj Kishore Perla",
            arxiv="1812.06247",
        ),
        aliases=("flatten_t_swish", "fts"),
    ),
    Activation(
        name="plu",
        title="PLU",
        formula="alpha*(x - c) + c if x > c else x if x > -c else alpha*(x + c) - c",
        parameters=(Parameter("alpha", 0.1, low=0, high=1), Parameter("c", 1.0, low=0)),
        family="rectifier",
        year=2018,
        source=Source(
            "PLU: The Piecewise Linear Unit Activation Function",
            "Andrei Nicolae",
            arxiv="1809.09534",
        ),
    ),
    Activation(
        name="polu",
        title="PoLU",
        formula="x if x > 0 else expm1(-n*log1p(-x))",
        parameters=(Parameter("n", 2.0, low=0, exclusive=True),),
        family="rectifier",
        year=2018,
        source=Source(
            "Training Neural Networks by Using Power Linear Units (PoLUs)",
            "Yikang Li, Pak Lun Kevin Ding, Baoxin Li",
            arxiv="1802.00212",
        ),
        note="The paper tries n = 1, 1.5 and 2; n = 1 is sign_relu.",
    ),
    Activation(
        name="sign_relu",
        title="SignReLU",
        formula="x if x > 0 else alpha*x/(1 - x)",
        parameters=(Parameter("alpha", 1.0),),
        family="rectifier",
        year=2018,
        source=Source(
            "Research on convolutional neural network based on improved Relu piecewise "
            "activation function",
            "Guifang Lin, Wei Shen",
            where="Procedia Computer Science 131, 2018",
        ),
        aliases=("dlu", "fplus", "polylu"),
    ),
    Activation(
        name="sine_relu",
        title="SineReLU",
        formula="x if x > 0 else epsilon*(sin(x) - cos(x))",
        parameters=(Parameter("epsilon", 0.0025),),
        family="rectifier",
        year=2018,
        source=Source(
            "SineReLU: An Alternative to the ReLU Activation Function",
            "Wilder Rodrigues",
            url="https://medium.com/@wilder.rodrigues/"
            "sinerelu-an-alternative-to-the-relu-activation-function-e46a6199997d",
        ),
        note=(
            "The published piecewise form; the code in keras-contrib takes the larger of x and "
            "epsilon*(sin(x) - cos(x))."
        ),
    ),
    Activation(
        name="displaced_relu",
        title="DisplacedReLU",
        formula="x if x > -delta else -delta",
        parameters=(Parameter("delta", 0.05),),
        family="rectifier",
        year=2019,
        source=Source(
            "Enhancing batch normalized convolutional networks using displaced rectifier linear "
            "units: A systematic comparative study",
            "David Macêdo, Cleber Zanchettin, Adriano L. I. Oliveira, Teresa Ludermir",
            doi="10.1016/j.eswa.2019.01.066",
        ),
        aliases=("disrelu", "drelu"),
        note="The default could not be checked against the paper.",
    ),
    Activation(
        name="dual_line",
        title="DualLine",
        formula="beta*x + m if x > 0 else alpha*x + m",
        parameters=(
            Parameter("alpha", 0.01, learnable=True),
            Parameter("beta", 1.0, learnable=True),
            Parameter("m", -0.22, learnable=True),
        ),
        family="rectifier",
        year=2019,
        source=Source(
            "Learn-able parameter guided Activation Functions",
            "S. Balaji, T. Kavya, Natasha Sebastian",
            arxiv="1912.10752",
        ),
    ),
    Activation(
        name="hardsigmoid",
        title="Hardsigmoid",
        formula="1 if x >= 3 else (x + 3)/6 if x > -3 else 0",
        family="rectifier",
        year=2019,
        source=_MOBILENET_V3,
    ),
    Activation(
        name="hardswish",
        title="Hardswish",
        formula="x if x >= 3 else x*(x + 3)/6 if x > -3 else 0",
        family="rectifier",
        year=2019,
        source=_MOBILENET_V3,
        aliases=("hard_silu",),
    ),
    Activation(
        name="nlrelu",
        title="NLReLU",
        formula="log1p(beta*x) if x > 0 else 0",
        parameters=(Parameter("beta", 1.0, low=0, exclusive=True),),
        family="rectifier",
        year=2019,
        source=Source(
            "Natural-Logarithm-Rectified Activation Function in Convolutional Neural Networks",
            "Yang Liu, Jianpeng Zhang, Chao Gao, Jinghua Qu, Lixin Ji",
            arxiv="1908.03682",
        ),
        aliases=("log_relu",),
    ),
    Activation(
        name="repu",
        title="RePU",
        formula="x**p if x > 0 else 0",
        parameters=(Parameter("p", 3.0, low=1),),
        family="rectifier",
        year=2019,
        source=Source(
            "Better Approximations of High Dimensional Smooth Functions by Deep Neural Networks "
            "with Rectified Power Units",
            "Bo Li, Shanshan Tang, Haijun Yu",
            arxiv="1903.05858",
        ),
        aliases=("cubic_relu", "recu"),
        note="The paper leaves p open; p = 2 is squared_relu.",
    ),
    Activation(
        name="sparse_plus",
        title="SparsePlus",
        formula="x if x >= 1 else (x + 1)**2/4 if x > -1 else 0",
        family="rectifier",
        year=2019,
        source=_FENCHEL_YOUNG,
    ),
    Activation(
        name="alrelu",
        title="ALReLU",
        formula="x if x > 0 else -alpha*x",
        parameters=(Parameter("alpha", 0.01, low=0),),
        family="rectifier",
        year=2020,
        source=Source(
            "ALReLU: A different approach on Leaky ReLU activation function to improve Neural "
            "Networks Performance",
            "Stamatis Mastromichalakis",
            arxiv="2012.07564",
        ),
        aliases=("abslu",),
    ),
    Activation(
        name="hard_mish",
        title="HardMish",
        formula="x if x >= 0 else x*(x + 2)/2 if x > -2 else 0",
        family="rectifier",
        year=2020,
        source=Source("H-Mish", "Diganta Misra", url="https://github.com/digantamisra98/H-Mish"),
        aliases=("sqreu",),
    ),
    Activation(
        name="huberized_relu",
        title="HuberizedReLU",
        formula="x - h/2 if x > h else x*x/(2*h) if x > 0 else 0",
        parameters=(Parameter("h", 1.0, low=0, exclusive=True),),
        family="rectifier",
        year=2020,
        source=Source(
            "When does gradient descent with logistic loss find interpolating two-layer networks?",
            "Niladri S. Chatterji, Philip M. Long, Peter L. Bartlett",
            arxiv="2012.02409",
        ),
        note="Default chosen here.",
    ),
    Activation(
        name="m_qrelu",
        title="MQReLU",
        formula="x if x > 0 else -0.99*x",
        family="rectifier",
        year=2020,
        source=_QUANTUM,
    ),
    Activation(
        name="qrelu",
        title="QReLU",
        formula="x if x > 0 else -1.99*x",
        family="rectifier",
        year=2020,
        source=_QUANTUM,
        note="0.01*x - 2*x, as in the authors' code; some libraries have 0.01*x*(x - 2).",
    ),
    Activation(
        name="smooth_relu",
        title="SmoothReLU",
        formula="-log1pmx(alpha*x)/alpha if x > 0 else 0",
        parameters=(Parameter("alpha", 400.0, learnable=True, low=1e-3),),
        family="rectifier",
        year=2020,
        source=Source(
            "Smooth Adversarial Training",
            "Cihang Xie, Mingxing Tan, Boqing Gong, Alan Yuille, Quoc V. Le",
            arxiv="2006.14536",
        ),
        note=(
            "The default is where the authors' released code starts (alpha is the square of a "
            "learned 20), ReLU to the eye; smooth_relu:alpha=1 shows the curve."
        ),
    ),
    Activation(
        name="tbsrelu",
        title="TBSReLU",
        formula="x*tanh(tanh(x/2))",
        family="rectifier",
        year=2020,
        source=_MERCIONI,
    ),
    Activation(
        name="tsrelu",
        title="TSReLU",
        formula="x*tanh(sigmoid(x))",
        family="rectifier",
        year=2020,
        source=_MERCIONI,
    ),
    Activation(
        name="sqlu",
        title="SQLU",
        formula="x if x > 0 else x*(x + 4)/4 if x > -2 else -1",
        family="rectifier",
        year=2021,
        source=_SQUARE,
    ),
    Activation(
        name="squared_relu",
        title="SquaredReLU",
        formula="x*x if x > 0 else 0",
        family="rectifier",
        year=2021,
        source=Source(
            "Primer: Searching for Efficient Transformers for Language Modeling",
            "David R. So, Wojciech Mańke, Hanxiao Liu, Zihang Dai, Noam Shazeer, Quoc V. Le",
            arxiv="2109.08668",
        ),
        aliases=("relu2", "relu_squared", "requ"),
    ),
    Activation(
        name="squish",
        title="Squish",
        formula="x*(x + 32)/32 if x > 0 else x*(x + 2)/2 if x > -2 else 0",
        family="rectifier",
        year=2021,
        source=_SQUARE,
    ),
    Activation(
        name="star_relu",
        title="StarReLU",
        formula="scale*x*x + bias if x > 0 else bias",
        parameters=(
            Parameter("scale", 0.8944, learnable=True),
            Parameter("bias", -0.4472, learnable=True),
        ),
        family="rectifier",
        year=2022,
        source=Source(
            "MetaFormer Baselines for Vision",
            "Weihao Yu, Chenyang Si, Pan Zhou, Mi Luo, Yichen Zhou, Jiashi Feng, Shuicheng Yan, "
            "Xinchao Wang",
            arxiv="2210.13452",
        ),
    ),
    Activation(
        name="relun",
        title="ReLUN",
        formula="n if x >= n else x if x > 0 else 0",
        parameters=(Parameter("n", 1.0, learnable=True, low=0),),
        family="rectifier",
        year=2023,
        source=Source(
            "Trainable Activations for Image Classification",
            "Evgenii Pishchik",
            doi="10.20944/preprints202301.0463.v1",
        ),
    ),
)
