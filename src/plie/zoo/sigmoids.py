"""Sigmoids: S-shaped and squashing functions."""

from plie.activation import Activation, Parameter, Source

_ELLIOTT = Source(
    "A Better Activation Function for Artificial Neural Networks",
    "David L. Elliott",
    where="Technical Report ISR TR 93-8, University of Maryland, 1993",
)
_GOMES = Source(
    "Comparison of new activation functions in neural network for forecasting financial "
    "time series",
    "Gecynalda S. da S. Gomes, Teresa B. Ludermir, Leyla M. M. R. Lima",
    doi="10.1007/s00521-010-0407-3",
)
_KOCAK = Source(
    "New activation functions for single layer feedforward neural network",
    "Yılmaz Koçak, Gülesen Üstündağ Şiray",
    doi="10.1016/j.eswa.2020.113977",
)
_PROBIT = Source(
    "Complementary Log-Log and Probit: Activation Functions Implemented in "
    "Artificial Neural Networks",
    "Gecynalda S. da S. Gomes, Teresa B. Ludermir",
    where="8th International Conference on Hybrid Intelligent Systems (HIS), 2008",
)
_REVISE = Source(
    "Revise Saturated Activation Functions",
    "Bing Xu, Ruitong Huang, Mu Li",
    arxiv="1602.05980",
)
_SURVEY = Source(
    "Three Decades of Activations: A Comprehensive Survey of 400 Activation Functions "
    "for Neural Networks",
    "Vladimír Kunc, Jiří Kléma",
    arxiv="2402.09092",
)

ROWS = (
    Activation(
        name="scaled_arctan",
        title="ScaledArctan",
        formula="2/pi*atan(pi/2*x)",
        family="sigmoid",
        year=1984,
        source=Source(
            "Neurons with graded response have collective computational properties like those "
            "of two-state neurons",
            "John J. Hopfield",
            doi="10.1073/pnas.81.10.3088",
        ),
    ),
    Activation(
        name="sigmoid",
        title="Sigmoid",
        formula="sigmoid(x)",
        family="sigmoid",
        year=1986,
        source=Source(
            "Learning representations by back-propagating errors",
            "David E. Rumelhart, Geoffrey E. Hinton, Ronald J. Williams",
            doi="10.1038/323533a0",
        ),
        aliases=("logistic", "logistic_sigmoid", "logsig"),
    ),
    Activation(
        name="lecun_tanh",
        title="LeCunTanh",
        formula="1.7159*tanh(2*x/3)",
        family="sigmoid",
        year=1989,
        source=Source(
            "Generalization and Network Design Strategies",
            "Yann LeCun",
            where="Connectionism in Perspective, Elsevier, 1989",
        ),
        aliases=("scaled_tanh",),
    ),
    Activation(
        name="tanh",
        title="Tanh",
        formula="tanh(x)",
        family="sigmoid",
        year=1992,
        source=Source(
            "Why tanh: choosing a sigmoidal function",
            "Barry L. Kalman, Stan C. Kwasny",
            doi="10.1109/IJCNN.1992.227257",
        ),
        aliases=("tansig",),
    ),
    Activation(
        name="elliott",
        title="Elliott",
        formula="0.5/(1 - x) if x < 0 else 1 - 0.5/(1 + x)",
        family="sigmoid",
        year=1993,
        source=_ELLIOTT,
        aliases=("elliot",),
        note="The softsign moved to the range (0, 1), as libraries use the name.",
    ),
    Activation(
        name="softsign",
        title="Softsign",
        formula="1/(1 + 1/x) if x > 1 else 1/(1/x - 1) if x < -1 else x/(1 + abs(x))",
        family="sigmoid",
        year=1993,
        source=_ELLIOTT,
        aliases=("elliott_symmetric",),
    ),
    Activation(
        name="erf",
        title="Erf",
        formula="erf(x)",
        family="sigmoid",
        year=1996,
        source=Source(
            "Computing with Infinite Networks",
            "Christopher K. I. Williams",
            where="Advances in Neural Information Processing Systems 9, 1996",
        ),
    ),
    Activation(
        name="rootsig",
        title="RootSig",
        formula=(
            "1/(1/x + sqrt(1 + 1/(x*x))) if x > 1"
            " else 1/(1/x - sqrt(1 + 1/(x*x))) if x < -1"
            " else x/(1 + sqrt(1 + x*x))"
        ),
        family="sigmoid",
        year=1999,
        source=Source(
            "Survey of Neural Transfer Functions",
            "Włodzisław Duch, Norbert Jankowski",
            where="Neural Computing Surveys 2, 1999",
        ),
    ),
    Activation(
        name="arctan",
        title="Arctan",
        formula="atan(x)",
        family="sigmoid",
        year=2002,
        source=Source(
            "A note on activation function in multilayer feedforward learning",
            "Joarder Kamruzzaman, Syed Mahfuzul Aziz",
            where="International Joint Conference on Neural Networks (IJCNN), 2002",
        ),
        aliases=("atan",),
    ),
    Activation(
        name="gudermannian",
        title="Gudermannian",
        formula="2*atan(tanh(x/2))",
        family="sigmoid",
        year=2006,
        source=Source(
            "Sigmoid function",
            "Wikipedia contributors",
            url="https://en.wikipedia.org/wiki/Sigmoid_function",
        ),
        aliases=("gd",),
    ),
    Activation(
        name="cloglog",
        title="CLogLog",
        formula="-expm1(-exp(x))",
        family="sigmoid",
        year=2008,
        source=_PROBIT,
        aliases=("complementary_log_log",),
    ),
    Activation(
        name="probit",
        title="Probit",
        formula="Phi(x)",
        family="sigmoid",
        year=2008,
        source=_PROBIT,
    ),
    Activation(
        name="cloglogm",
        title="CLogLogM",
        formula="1 - 2*exp(-0.7*exp(x))",
        family="sigmoid",
        year=2011,
        source=_GOMES,
        aliases=("modified_cloglog",),
    ),
    Activation(
        name="log_sigmoid",
        title="LogSigmoid",
        formula="log_sigmoid(x)",
        family="sigmoid",
        year=2011,
        source=Source(
            "Torch7: A Matlab-like Environment for Machine Learning",
            "Ronan Collobert, Koray Kavukcuoglu, Clément Farabet",
            where="BigLearn, NIPS Workshop, 2011",
        ),
    ),
    Activation(
        name="loglog",
        title="LogLog",
        formula="exp(-exp(-x))",
        family="sigmoid",
        year=2011,
        source=_GOMES,
        aliases=("gompertz",),
    ),
    Activation(
        name="aranda_ordaz",
        title="ArandaOrdaz",
        formula="-expm1(-softplus(x + log(lambd))/lambd)",
        parameters=(Parameter("lambd", 2.0, low=0, exclusive=True),),
        family="sigmoid",
        year=2013,
        source=Source(
            "Optimization of the weights and asymmetric activation function family of neural "
            "network for time series forecasting",
            "Gecynalda S. da S. Gomes, Teresa B. Ludermir",
            where="Expert Systems with Applications 40(16), 2013",
        ),
        note="The default is that of later users of the function.",
    ),
    Activation(
        name="modified_elliott",
        title="ModifiedElliott",
        formula=(
            "1/sqrt(1 + 1/(x*x)) + 1/2 if x > 1"
            " else 1/2 - 1/sqrt(1 + 1/(x*x)) if x < -1"
            " else x/sqrt(1 + x*x) + 1/2"
        ),
        family="sigmoid",
        year=2015,
        source=Source(
            "Denoising AutoEncoder in Neural Networks with Modified Elliott Activation Function "
            "and Sparsity-Favoring Cost Function",
            "Hasham Burhani, Wenying Feng, Gongzhu Hu",
            where="3rd International Conference on Applied Computing and Information "
            "Technology (ACIT), 2015",
        ),
        aliases=("mef",),
    ),
    Activation(
        name="rational_tanh",
        title="RationalTanh",
        formula=(
            "1.7159 - 1.7159/(1 + 2*x/3 + (2*x/3)**2 + 1.41645*(2*x/3)**4) if x > 1"
            " else 1.7159/(1 - 2*x/3 + (2*x/3)**2 + 1.41645*(2*x/3)**4) - 1.7159 if x < -1"
            " else 1.7159*(2*x/3)*(1 + abs(2*x/3) + 1.41645*abs(2*x/3)**3)"
            "/(1 + abs(2*x/3) + (2*x/3)**2 + 1.41645*(2*x/3)**4)"
        ),
        family="sigmoid",
        year=2015,
        source=Source(
            "Compact Convolutional Neural Network Cascade for Face Detection",
            "Ilya A. Kalinovskii, Vladimir G. Spitsyn",
            arxiv="1508.01292",
        ),
    ),
    Activation(
        name="penalized_tanh",
        title="PenalizedTanh",
        formula="tanh(x) if x > 0 else a*tanh(x)",
        parameters=(Parameter("a", 0.25),),
        family="sigmoid",
        year=2016,
        source=_REVISE,
        aliases=("penalised_tanh",),
    ),
    Activation(
        name="scaled_sigmoid",
        title="ScaledSigmoid",
        formula="2*tanh(x/2)",
        family="sigmoid",
        year=2016,
        source=_REVISE,
        note="Written with tanh for the paper's 4 sigmoid(x) - 2, which it equals.",
    ),
    Activation(
        name="dsilu",
        title="DSiLU",
        formula="sigmoid(x)*(1 + x*sigmoid(-x))",
        family="sigmoid",
        year=2017,
        source=Source(
            "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in "
            "Reinforcement Learning",
            "Stefan Elfwing, Eiji Uchibe, Kenji Doya",
            arxiv="1702.03118",
        ),
    ),
    Activation(
        name="hexpo",
        title="Hexpo",
        formula="-a*expm1(-x/b) if x > 0 else c*expm1(x/d)",
        parameters=(
            Parameter("a", 1.0),
            Parameter("b", 1.0, low=0, exclusive=True),
            Parameter("c", 1.0),
            Parameter("d", 1.0, low=0, exclusive=True),
        ),
        family="sigmoid",
        year=2017,
        source=Source(
            "Hexpo: A vanishing-proof activation function",
            "Shumin Kong, Masahiro Takatsuka",
            where="International Joint Conference on Neural Networks (IJCNN), 2017",
        ),
        note="Defaults chosen here.",
    ),
    Activation(
        name="isru",
        title="ISRU",
        formula=(
            "1/sqrt(alpha + 1/(x*x)) if x > 1"
            " else -1/sqrt(alpha + 1/(x*x)) if x < -1"
            " else x/sqrt(1 + alpha*x*x)"
        ),
        parameters=(Parameter("alpha", 1.0, low=0, exclusive=True),),
        family="sigmoid",
        year=2017,
        source=Source(
            "Improving Deep Learning by Inverse Square Root Linear Units (ISRLUs)",
            "Brad Carlile, Guy Delamarter, Paul Kinney, Akiko Marti, Brian Whitney",
            arxiv="1710.09967",
        ),
    ),
    Activation(
        name="asinh",
        title="ArcSinh",
        formula="asinh(x)",
        family="sigmoid",
        year=2018,
        source=Source(
            "Activation function",
            "Wikipedia contributors",
            url="https://en.wikipedia.org/wiki/Activation_function",
        ),
        aliases=("arcsinh", "arsinh"),
    ),
    Activation(
        name="soft_clipping",
        title="SoftClipping",
        formula=(
            "(softplus(alpha*x) - softplus(alpha*(x - 1)))/alpha if x < 1/2"
            " else 1 - (softplus(alpha*(1 - x)) - softplus(-alpha*x))/alpha"
        ),
        parameters=(Parameter("alpha", 50.0, low=0, exclusive=True),),
        family="sigmoid",
        year=2018,
        source=Source(
            "Neural Network-Based Approach to Phase Space Integration",
            "Matthew D. Klimek, Maxim Perelstein",
            arxiv="1810.11509",
        ),
        note="The default could not be checked against the paper.",
        aliases=("softclip",),
    ),
    Activation(
        name="sqnl",
        title="SQNL",
        formula=("1 if x >= 2 else -1 if x <= -2 else x*(1 - abs(x)/4)"),
        family="sigmoid",
        year=2018,
        source=Source(
            "SQNL: A New Computationally Efficient Activation Function",
            "Adedamola Wuraola, Nitish Patel",
            doi="10.1109/IJCNN.2018.8489043",
        ),
    ),
    Activation(
        name="improved_logistic_sigmoid",
        title="ImprovedLogisticSigmoid",
        formula=(
            "a*(x - b) + sigmoid(b) if x > b else a*(x + b) + sigmoid(-b) if x < -b else sigmoid(x)"
        ),
        parameters=(Parameter("a", 0.2), Parameter("b", 2.0, low=0)),
        family="sigmoid",
        year=2019,
        source=Source(
            "The Optimized Deep Belief Networks With Improved Logistic Sigmoid Units and Their "
            "Application in Fault Diagnosis for Planetary Gearboxes of Wind Turbines",
            "Yi Qin, Xin Wang, Jingqiang Zou",
            where="IEEE Transactions on Industrial Electronics 66(5), 2019",
        ),
        note="Defaults chosen here: the paper presets a and b from the data.",
    ),
    Activation(
        name="siglin",
        title="SigLin",
        formula="sigmoid(x) + a*x",
        parameters=(Parameter("a", 0.1),),
        family="sigmoid",
        year=2020,
        source=Source(
            "A new approach for the vanishing gradient problem on sigmoid activation",
            "Matías Roodschild, Jorge Gotay Sardiñas, Adrián Will",
            doi="10.1007/s13748-020-00218-y",
        ),
        note="The paper tries a = 0, 0.05, 0.1 and 0.15; the name is that of arXiv 2402.09092.",
    ),
    Activation(
        name="smoothstep",
        title="SmoothStep",
        formula=(
            "1 if x >= gamma/2 else 0 if x <= -gamma/2 else (x/gamma + 1/2)**2*(2 - 2*x/gamma)"
        ),
        parameters=(Parameter("gamma", 1.0, low=0, exclusive=True),),
        family="sigmoid",
        year=2020,
        source=Source(
            "The Tree Ensemble Layer: Differentiability meets Conditional Computation",
            "Hussein Hazimeh, Natalia Ponomareva, Petros Mol, Zhenyu Tan, Rahul Mazumder",
            arxiv="2002.07772",
        ),
    ),
    Activation(
        name="log_sqnl",
        title="LogSQNL",
        formula=(
            "1 if x >= 2 else 0 if x <= -2 else (1 + x/2)**2/2 if x < 0 else 1 - (1 - x/2)**2/2"
        ),
        family="sigmoid",
        year=2021,
        source=Source(
            "Efficient activation functions for embedded inference engines",
            "Adedamola Wuraola, Nitish Patel, Sing Kiong Nguang",
            doi="10.1016/j.neucom.2021.02.030",
        ),
    ),
    Activation(
        name="sigmoid_algebraic",
        title="SigmoidAlgebraic",
        formula=("sigmoid(1 - 1/(1 + x*(1 + a*x))) if x > 0 else sigmoid(1/(1 - x*(1 - a*x)) - 1)"),
        parameters=(Parameter("a", 1.0, low=0),),
        family="sigmoid",
        year=2021,
        source=_KOCAK,
        note="Default chosen here.",
    ),
    Activation(
        name="sinc_sigmoid",
        title="SincSigmoid",
        formula="sinc(sigmoid(x))",
        family="sigmoid",
        year=2021,
        source=_KOCAK,
        note="With the unnormalised sinc, sin(u)/u, to which the paper's derivative belongs.",
    ),
    Activation(
        name="laplace",
        title="Laplace",
        formula="Phi((x - mu)/sigma)",
        parameters=(Parameter("mu", 0.707107), Parameter("sigma", 0.282095, low=0, exclusive=True)),
        family="sigmoid",
        year=2022,
        source=Source(
            "Mega: Moving Average Equipped Gated Attention",
            "Xuezhe Ma, Chunting Zhou, Xiang Kong, Junxian He, Liangke Gui, Graham Neubig, "
            "Jonathan May, Luke Zettlemoyer",
            arxiv="2209.10655",
        ),
    ),
    Activation(
        name="new_sigmoid",
        title="NewSigmoid",
        formula="tanh(x)/sqrt(1 + tanh(x)**2)",
        family="sigmoid",
        year=2022,
        source=Source(
            "A neural network with NewSigmoid activation function",
            "Arvind Kumar, Sartaj Singh Sodhi",
            doi="10.3233/JIFS-212333",
        ),
        note="Written with tanh for the paper's sinh(x)/sqrt(cosh(2x)), which it equals.",
    ),
    Activation(
        name="sigmoid_gumbel",
        title="SigmoidGumbel",
        formula="sigmoid(x)*exp(-exp(-x))",
        family="sigmoid",
        year=2022,
        source=Source(
            "Sigmoid-Gumbel: Yeni Bir Hibrit Aktivasyon Fonksiyonu",
            "Mustafa Kaytan, İbrahim Berkan Aydilek, Celaleddin Yeroğlu, Ali Karcı",
            doi="10.17798/bitlisfen.990508",
        ),
        note="The paper is in Turkish; the formula follows arXiv 2402.09092.",
    ),
    Activation(
        name="asilu",
        title="ASiLU",
        formula="atan(x*sigmoid(x))",
        family="sigmoid",
        year=2024,
        source=_SURVEY,
        aliases=("atsilu",),
    ),
    Activation(
        name="tsilu",
        title="TSiLU",
        formula="tanh(x*sigmoid(x))",
        family="sigmoid",
        year=2024,
        source=_SURVEY,
    ),
)
