"""Simulation-based calibration: does a fit find what its own prior and simulator put in?

Parameters come from the prior of the very model that is fitted, histories from a simulator that
shares no code with its likelihood. The rank of the truth among posterior draws is then uniform
(Talts et al. 2018, arXiv:1804.06788), for every parameter and for any function of parameters and
data: the log likelihood at the truth catches what parameters alone do not (Modrák et al. 2023,
doi:10.1214/23-BA1404).
"""
