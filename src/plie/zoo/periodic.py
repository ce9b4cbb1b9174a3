"""Periodic: sines, cosines and other functions that oscillate."""

from plie.activation import Activation, Parameter, Source

_SEARCH = Source(
    "Searching for Activation Functions",
    "Prajit Ramachandran, Barret Zoph, Quoc V. Le",
    arxiv="1710.05941",
)
_PYRAMIDAL = Source(
    "Biologically Inspired Oscillating Activation Functions Can Bridge the Performance Gap "
    "between Biological and Artificial Neurons",
    "Matthew Mithra Noel, Shubham Bharadwaj, Venkataraman Muthiah-Nakarajan, Praneet Dutta, "
    "Geraldine Bessie Amali",
    arxiv="2111.04020",
)
_SNAKE = Source(
    "Neural Networks Fail to Learn Periodic Functions and How to Fix It",
    "Liu Ziyin, Tilman Hartwig, Masahito Ueda",
    arxiv="2006.08195",
)

ROWS = (
    Activation(
        name="sin",
        title="Sin",
        formula="sin(x)",
        family="periodic",
        year=1987,
        source=Source(
            "Nonlinear Signal Processing Using Neural Networks: Prediction and System Modelling",
            "Alan Lapedes, Robert Farber",
            where="Los Alamos National Laboratory, technical report LA-UR-87-2662",
        ),
        aliases=("sine",),
    ),
    Activation(
        name="cos",
        title="Cos",
        formula="cos(x)",
        family="periodic",
        year=2007,
        source=Source(
            "Random Features for Large-Scale Kernel Machines",
            "Ali Rahimi, Benjamin Recht",
            where="Advances in Neural Information Processing Systems 20, 2007",
        ),
        aliases=("cosine",),
    ),
    Activation(
        name="sinc",
        title="Sinc",
        formula="sinc(x)",
        family="periodic",
        year=2008,
        source=Source(
            "Novel Neuronal Activation Functions for Feedforward Neural Networks",
            "Mehmet Önder Efe",
            where="Neural Processing Letters 28, 2008",
        ),
        note="Unnormalised: sin(x)/x.",
    ),
    Activation(
        name="cosid",
        title="Cosid",
        formula="cos(x) - x",
        family="periodic",
        year=2017,
        source=_SEARCH,
    ),
    Activation(
        name="minsin",
        title="MinSin",
        formula="sin(x) if x > 0 else x",
        family="periodic",
        year=2017,
        source=_SEARCH,
        note="The paper writes min(x, sin(x)), which is the same function.",
    ),
    Activation(
        name="sinc_plus_x",
        title="SincPlusX",
        formula="sinc(x) + x",
        family="periodic",
        year=2017,
        source=_SEARCH,
    ),
    Activation(
        name="sinsig",
        title="SinSig",
        formula="x*sin(pi/2*sigmoid(x))",
        family="periodic",
        year=2020,
        source=Source(
            "A Self-gated Activation Function SINSIG Based on the Sine Trigonometric for Neural "
            "Network Models",
            "K. Douge, A. Berrahou, Y. Talibi Alaoui, M. Talibi Alaoui",
            doi="10.1007/978-3-030-70866-5_15",
            where="Machine Learning for Networking (MLN 2020), LNCS 12629",
        ),
    ),
    Activation(
        name="siren",
        title="Siren",
        formula="sin(omega_0*x)",
        parameters=(Parameter("omega_0", 30.0),),
        family="periodic",
        year=2020,
        source=Source(
            "Implicit Neural Representations with Periodic Activation Functions",
            "Vincent Sitzmann, Julien N. P. Martel, Alexander W. Bergman, David B. Lindell, "
            "Gordon Wetzstein",
            arxiv="2006.09661",
        ),
    ),
    Activation(
        name="snake",
        title="Snake",
        formula="x + sin(frequency*x)**2/frequency",
        parameters=(Parameter("frequency", 1.0, low=0, exclusive=True),),
        family="periodic",
        year=2020,
        source=_SNAKE,
    ),
    Activation(
        name="x_plus_sin",
        title="XPlusSin",
        formula="x + sin(x)",
        family="periodic",
        year=2020,
        source=_SNAKE,
    ),
    Activation(
        name="dsu",
        title="DSU",
        formula=(
            "pi*pi*sinc(pi - x)/(pi + x) if 1 < x < 5 else "
            "-pi*pi*sinc(pi + x)/(pi - x) if -5 < x < -1 else "
            "pi*pi*sin(x)/(pi*pi - x*x)"
        ),
        family="periodic",
        year=2021,
        source=_PYRAMIDAL,
        aliases=("decaying_sine_unit",),
        note="The paper writes pi/2*(sinc(x - pi) - sinc(x + pi)), which is the same function.",
    ),
    Activation(
        name="exp_sin",
        title="ExpSin",
        formula="exp(-sin(a*x))",
        parameters=(Parameter("a", 1.0),),
        family="periodic",
        year=2021,
        source=Source(
            "Beyond Periodicity: Towards a Unifying Framework for Activations in Coordinate-MLPs",
            "Sameera Ramasinghe, Simon Lucey",
            arxiv="2111.15135",
        ),
        note="Default chosen here.",
    ),
    Activation(
        name="gcu",
        title="GCU",
        formula="x*cos(x)",
        family="periodic",
        year=2021,
        source=Source(
            "Growing Cosine Unit: A Novel Oscillatory Activation Function That Can Speedup "
            "Training and Reduce Parameters in Convolutional Neural Networks",
            "Mathew Mithra Noel, Arunkumar L, Advait Trivedi, Praneet Dutta",
            arxiv="2108.12943",
        ),
        aliases=("growing_cosine_unit",),
    ),
    Activation(
        name="ssu",
        title="SSU",
        formula="pi*sinc(x - pi) if 1 < x < 5 else pi*sin(x)/(pi - x)",
        family="periodic",
        year=2021,
        source=_PYRAMIDAL,
        aliases=("shifted_sinc_unit",),
        note="The paper writes pi*sinc(x - pi), which is the same function.",
    ),
    Activation(
        name="asu",
        title="ASU",
        formula="x*sin(x)",
        family="periodic",
        year=2023,
        source=Source(
            "Amplifying Sine Unit: An Oscillatory Activation Function for Deep Neural Networks to "
            "Recover Nonlinear Oscillations Efficiently",
            "Jamshaid Ul Rahman, Faiza Makhdoom, Dianchen Lu",
            arxiv="2304.09759",
        ),
        aliases=("amplifying_sine_unit", "xsin"),
    ),
    Activation(
        name="gabor",
        title="Gabor",
        formula="cos(omega_0*x)*exp(-(s_0*x)**2)",
        parameters=(Parameter("omega_0", 10.0), Parameter("s_0", 10.0)),
        family="periodic",
        year=2023,
        source=Source(
            "WIRE: Wavelet Implicit Neural Representations",
            "Vishwanath Saragadam, Daniel LeJeune, Jasper Tan, Guha Balakrishnan, "
            "Ashok Veeraraghavan, Richard G. Baraniuk",
            arxiv="2301.05187",
        ),
        aliases=("wire",),
        note=(
            "The real part of the paper's complex wavelet, with the defaults of the real layer in "
            "the authors' code."
        ),
    ),
)
