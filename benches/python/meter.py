"""What both programs share: the command line, the clocks, and how figures are printed."""

import sys
import time


def arguments():
    """The workload, and name=value as numbers where they are numbers."""
    values = dict(word.split("=", 1) for word in sys.argv[2:])
    numbers = {name: int(value) for name, value in values.items() if value.isdecimal()}
    return sys.argv[1], {**values, **numbers}


class Meter:
    """Wall and CPU time from its making on."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter_ns(), time.process_time_ns()

    def figures(self, units):
        """Per unit of work."""
        wall, cpu = time.perf_counter_ns() - self.wall, time.process_time_ns() - self.cpu
        return {"cpu_ns_per_entry": cpu / units, "wall_ns_per_entry": wall / units}


def report(figures):
    """One `name value` a line."""
    for name, value in figures.items():
        print(f"{name} {value:.4f}")
