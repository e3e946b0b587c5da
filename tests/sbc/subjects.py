"""What can be calibrated: every version that NUTS fits."""

from tests.sbc.gamma import GammaSubject
from tests.sbc.rhythm import RhythmSubject

SUBJECTS = {
    "pooled_gamma": lambda **design: GammaSubject("pooled_gamma", lapse=False, **design),
    "lapse_gamma": lambda **design: GammaSubject("lapse_gamma", lapse=True, **design),
    "rhythm": RhythmSubject,
}
