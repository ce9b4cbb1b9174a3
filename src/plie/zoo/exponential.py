"""Exponential: ELU and its kin, whose negative branch (rarely the positive one) is exponential."""

from plie.activation import Activation, Parameter, Source

_DENDRITE = Source(
    "Non-linear Neurons with Human-like Apical Dendrite Activations",
    "Mariana-Iuliana Georgescu, Radu Tudor Ionescu, Nicolae-Catalin Ristea, Nicu Sebe",
    arxiv="2003.03229",
)
_GOLDEN = Source(
    "The Quest for the Golden Activation Function",
    "Mina Basirat, Peter M. Roth",
    arxiv="1808.00783",
)

ROWS = (
    Activation(
        name="elu",
        title="ELU",
        formula="x if x > 0 else alpha*expm1(x)",
        parameters=(Parameter("alpha", 1.0),),
        family="exponential",
        year=2015,
        source=Source(
            "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)",
            "Djork-Arné Clevert, Thomas Unterthiner, Sepp Hochreiter",
            arxiv="1511.07289",
        ),
    ),
    Activation(
        name="celu",
        title="CELU",
        formula="x if x > 0 else alpha*expm1(x/alpha)",
        parameters=(Parameter("alpha", 1.0, low=0, exclusive=True),),
        family="exponential",
        year=2017,
        source=Source(
            "Continuously Differentiable Exponential Linear Units",
            "Jonathan T. Barron",
            arxiv="1704.07483",
        ),
    ),
    Activation(
        name="selu",
        title="SELU",
        formula=(
            "1.0507009873554804934193349852946*x if x > 0 else "
            "1.0507009873554804934193349852946*1.6732632423543772848170429916717*expm1(x)"
        ),
        family="exponential",
        year=2017,
        source=Source(
            "Self-Normalizing Neural Networks",
            "Günter Klambauer, Thomas Unterthiner, Andreas Mayr, Sepp Hochreiter",
            arxiv="1706.02515",
        ),
    ),
    Activation(
        name="elish",
        title="ELiSH",
        formula="x*sigmoid(x) if x >= 0 else expm1(x)*sigmoid(x)",
        family="exponential",
        year=2018,
        source=_GOLDEN,
    ),
    Activation(
        name="hard_elish",
        title="HardELiSH",
        formula=("x if x >= 1 else x*(x + 1)/2 if x >= 0 else expm1(x)*(x + 1)/2 if x > -1 else 0"),
        family="exponential",
        year=2018,
        source=_GOLDEN,
    ),
    Activation(
        name="serlu",
        title="SERLU",
        formula="scale*x if x >= 0 else scale*alpha*x*exp(x)",
        parameters=(Parameter("alpha", 2.90427), Parameter("scale", 1.07862)),
        family="exponential",
        year=2018,
        source=Source(
            "Effectiveness of Scaled Exponentially-Regularized Linear Units (SERLUs)",
            "Guoqiang Zhang, Haopeng Li",
            arxiv="1807.10117",
        ),
    ),
    Activation(
        name="reu",
        title="REU",
        formula="x if x > 0 else x*exp(x)",
        family="exponential",
        year=2019,
        source=Source(
            "Rectified Exponential Units for Convolutional Neural Networks",
            "Yao Ying, Jianlin Su, Peng Shan, Ligang Miao, Xiaolian Wang, Silong Peng",
            doi="10.1109/ACCESS.2019.2928442",
        ),
        aliases=("suish",),
    ),
    Activation(
        name="ada",
        title="ADA",
        formula="x*exp(-alpha*x) if x > 0 else 0",
        parameters=(Parameter("alpha", 0.3, low=0, exclusive=True),),
        family="exponential",
        year=2020,
        source=_DENDRITE,
        aliases=("apical_dendrite",),
        note=(
            "Formula and default of the authors' code, which has no offset in the exponent; their "
            "VGG has alpha = 0.5, and arXiv 2402.09092 prints it without the factor x."
        ),
    ),
    Activation(
        name="diff_elu",
        title="DiffELU",
        formula="x if x >= 0 else a*(x*exp(x) - b*exp(b*x))",
        parameters=(
            Parameter("a", 0.3),
            Parameter("b", 0.1, low=0, high=1, exclusive=True),
        ),
        family="exponential",
        year=2020,
        source=Source(
            "Improving Convolutional Neural Network Expression via Difference Exponentially "
            "Linear Units",
            "Zhiying Hu, Hua Huang, Qinglin Ran, Mingyang Yuan",
            doi="10.1088/1742-6596/1651/1/012163",
        ),
        note="The paper abbreviates it DELU, a name this zoo keeps for the function of 2023.",
    ),
    Activation(
        name="elu_plus_one",
        title="ELUPlusOne",
        formula="x + 1 if x > 0 else exp(x)",
        family="exponential",
        year=2020,
        source=Source(
            "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
            "Angelos Katharopoulos, Apoorv Vyas, Nikolaos Pappas, François Fleuret",
            arxiv="2006.16236",
        ),
    ),
    Activation(
        name="leaky_ada",
        title="LeakyADA",
        formula="x*exp(-alpha*x) if x > 0 else leak*x",
        parameters=(Parameter("alpha", 0.9, low=0, exclusive=True), Parameter("leak", 0.01)),
        family="exponential",
        year=2020,
        source=_DENDRITE,
        aliases=("lada",),
        note=(
            "Follows the authors' code, which has no offset in the exponent. alpha is that of "
            "their LeNet; their multi-layer perceptrons have 0.1 and their VGG has 0.5."
        ),
    ),
)
