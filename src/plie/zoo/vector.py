"""Functions of a vector: normalisers and pools over one dimension."""

from plie import vector
from plie.activation import Activation, Parameter, Source
from plie.vector import VectorRule

DIM = Parameter("dim", -1, integer=True)

ROWS = (
    Activation(
        name="log_softmax",
        title="LogSoftmax",
        formula="x_i - log(sum_j exp(x_j))",
        parameters=(DIM,),
        family="vector",
        year=1990,
        source=Source(
            "Probabilistic Interpretation of Feedforward Classification Network Outputs, with "
            "Relationships to Statistical Pattern Recognition",
            "John S. Bridle",
            doi="10.1007/978-3-642-76153-9_28",
            where="Neurocomputing, NATO ASI Series 68, 1990",
        ),
        note="The logarithm of softmax, in the form that cannot overflow.",
        vector=VectorRule(vector.log_softmax, r"x_i - \ln \sum_j e^{x_j}"),
    ),
    Activation(
        name="softmax",
        title="Softmax",
        formula="exp(x_i) / sum_j exp(x_j)",
        parameters=(DIM,),
        family="vector",
        year=1990,
        source=Source(
            "Probabilistic Interpretation of Feedforward Classification Network Outputs, with "
            "Relationships to Statistical Pattern Recognition",
            "John S. Bridle",
            doi="10.1007/978-3-642-76153-9_28",
            where="Neurocomputing, NATO ASI Series 68, 1990",
        ),
        vector=VectorRule(vector.softmax, r"\frac{e^{x_i}}{\sum_j e^{x_j}}"),
    ),
    Activation(
        name="maxout",
        title="Maxout",
        formula="max(x_1, ..., x_pool)",
        parameters=(Parameter("pool", 2, low=2, integer=True), DIM),
        family="vector",
        year=2013,
        source=Source(
            "Maxout Networks",
            "Ian J. Goodfellow, David Warde-Farley, Mehdi Mirza, Aaron Courville, Yoshua Bengio",
            arxiv="1302.4389",
        ),
        vector=VectorRule(vector.maxout, r"\max(x_{1}, \dots, x_{k})", "pool"),
    ),
    Activation(
        name="crelu",
        title="CReLU",
        formula="[relu(x), relu(-x)]",
        parameters=(DIM,),
        family="vector",
        year=2016,
        source=Source(
            "Understanding and Improving Convolutional Neural Networks via Concatenated "
            "Rectified Linear Units",
            "Wenling Shang, Kihyuk Sohn, Diogo Almeida, Honglak Lee",
            arxiv="1603.05201",
        ),
        vector=VectorRule(vector.crelu, r"[\max(x, 0), \max(-x, 0)]"),
    ),
    Activation(
        name="softmin",
        title="Softmin",
        formula="exp(-x_i) / sum_j exp(-x_j)",
        parameters=(DIM,),
        family="vector",
        year=2016,
        source=Source(
            "PyTorch documentation: torch.nn.Softmin",
            "PyTorch contributors",
            url="https://pytorch.org/docs/stable/generated/torch.nn.Softmin.html",
        ),
        vector=VectorRule(vector.softmin, r"\frac{e^{-x_i}}{\sum_j e^{-x_j}}"),
    ),
    Activation(
        name="sparsemax",
        title="Sparsemax",
        formula="max(x_i - tau(x), 0)",
        parameters=(DIM,),
        family="vector",
        year=2016,
        source=Source(
            "From Softmax to Sparsemax: A Sparse Model of Attention and Multi-Label Classification",
            "André F. T. Martins, Ramón Fernandez Astudillo",
            arxiv="1602.02068",
        ),
        vector=VectorRule(vector.sparsemax, r"\max(x_i - \tau(x), 0), \quad \sum_i = 1"),
    ),
    Activation(
        name="squash",
        title="Squash",
        formula="norm(x)**2/(1 + norm(x)**2) * x/norm(x)",
        parameters=(DIM,),
        family="vector",
        year=2017,
        source=Source(
            "Dynamic Routing Between Capsules",
            "Sara Sabour, Nicholas Frosst, Geoffrey E. Hinton",
            arxiv="1710.09829",
        ),
        vector=VectorRule(
            vector.squash, r"\frac{\lVert x\rVert^2}{1 + \lVert x\rVert^2} \frac{x}{\lVert x\rVert}"
        ),
    ),
    Activation(
        name="maxmin",
        title="MaxMin",
        formula="[max(x_1, x_2), min(x_1, x_2)]",
        parameters=(DIM,),
        family="vector",
        year=2018,
        source=Source(
            "Sorting out Lipschitz function approximation",
            "Cem Anil, James Lucas, Roger Grosse",
            arxiv="1811.05381",
        ),
        aliases=("groupsort2",),
        vector=VectorRule(vector.maxmin, r"[\max(x_1, x_2), \min(x_1, x_2)]", 2),
    ),
    Activation(
        name="entmax15",
        title="Entmax15",
        formula="max(x_i/2 - tau(x), 0)**2",
        parameters=(DIM,),
        family="vector",
        year=2019,
        source=Source(
            "Sparse Sequence-to-Sequence Models",
            "Ben Peters, Vlad Niculae, André F. T. Martins",
            arxiv="1905.05702",
        ),
        aliases=("entmax",),
        vector=VectorRule(vector.entmax15, r"\max(x_i/2 - \tau(x), 0)^2, \quad \sum_i = 1"),
    ),
)
