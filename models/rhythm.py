"""``rhythm``: what real orders show, week by week, in one hazard.

TODO

Sources
"""

from models.parts.rhythm_version import RhythmVersion

MODEL = RhythmVersion("rhythm", "1", __doc__ or "")
