"""What scores of several seeds and data sets say: intervals, comparisons, ranks, the verdict.

Nothing here drops a value. A network that diverged has an accuracy as measured, at chance level,
and counts like any other; its loss is no number, and is refused by name.

>>> from plie import statistics
>>> print(statistics.interval([0.91, 0.94, 0.95, 0.95, 0.96]))
0.942 (95 % interval 0.911 to 0.966)
"""

from plie.statistics.compare import Comparison as Comparison
from plie.statistics.compare import compare as compare
from plie.statistics.compare import holm as holm
from plie.statistics.interval import Interval as Interval
from plie.statistics.interval import interval as interval
from plie.statistics.ranks import Ranks as Ranks
from plie.statistics.ranks import ranks as ranks
from plie.statistics.share import wilson as wilson
from plie.statistics.verdict import Verdict as Verdict
from plie.statistics.verdict import sentence as sentence
from plie.statistics.verdict import verdict as verdict
