"""The simulation: the same steps under a virtual clock and an in-memory log, with faults at any write, by a seed."""

from infra.simulator.agents import Defect
from infra.simulator.run import SimulationResult, simulate

__all__ = ["Defect", "SimulationResult", "simulate"]
