"""What tests of the agent and of tasks share: the authors' kit"""

from helper_kit.testing import INSTANCE, NETWORK, NIC, Bench, Programs, Recorded, Tree

__all__ = ["INSTANCE", "NETWORK", "NIC", "Bench", "Programs", "Recorded", "Tree"]
