"""The workloads as the report has them: what each program is called with."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The unit of a figure by how its name begins.
UNITS = [("writes_per_s", "1/s"), ("reads_per_s", "1/s"), ("write_p", "µs"), ("read_p", "µs"),
         ("cpu_us", "µs"), ("cpu_ns", "ns"), ("wall_ns", "ns"), ("rss_bytes", "bytes"),
         ("allocs", "1"),
         ("alloc_bytes", "bytes"), ("wall_mib", "MiB/s"), ("wire_bytes", "bytes"),
         ("messages", "1"), ("copied_bytes", "1"), ("in_place", "1"), ("check_sum", "1")]


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    command: str
    metric: str  # the one that the tables show
    variants: tuple  # each a string of name=value, which is also its name in the report
    fixed: str = ""  # what all variants are called with besides


def unit(metric):
    return next((unit for start, unit in UNITS if metric.startswith(start)), "1")


def growth(metric="cpu_ns_per_entry"):
    """W9: one workload for each thing that grows."""
    def one(what, title, variants, fixed):
        return Workload(f"W9-{what}", title, "commit", metric, variants, fixed)
    yield one("log", "W9 a log that is never compacted",
              tuple(f"entries={n}" for n in (1_000, 10_000, 100_000, 1_000_000)),
              "batch=16 compact=0")
    yield one("cluster", "W9 members of the group",
              tuple(f"voters={n}" for n in (1, 3, 5, 7, 9)), "batch=16 entries=50000")
    yield one("payload", "W9 payload in bytes",
              tuple(f"payload={n}" for n in (16, 128, 1024, 8192, 65536)),
              "batch=16 entries=20000 compact=512")
    yield one("window", "W9 appends in flight, of 4 KiB, 256 entries a batch",
              tuple(f"inflight={n}" for n in (1, 4, 16, 64, 256)),
              "batch=256 max_message=4096 entries=50000")
    yield one("loss", "W9 messages lost, in percent",
              tuple(f"loss={n}" for n in (0, 1, 5, 20)), "batch=16 compact=0 entries=50000")


CLIENTS = (1, 16, 256)
SERVICE_METRICS = [f"{metric}_c{clients}"
                   for metric in ("writes_per_s", "write_p50_us", "write_p99_us",
                                  "cpu_us_per_write", "reads_per_s", "read_p50_us",
                                  "read_p99_us", "cpu_us_per_read")
                   for clients in CLIENTS]


def services():
    """W7: whole services, by where their data lies."""
    for store, where in (("disk", "synced to a disk"), ("memory", "in a memory file system")):
        yield Workload(f"W7-{store}", f"W7 three nodes of a service, data {where}", "services",
                       "writes_per_s", (f"store={store}",), f"root={ROOT} seconds=1.5")


BATCHES = ("batch=1", "batch=16", "batch=256")
WORKLOADS = [
    Workload("W1", "W1 commit pipeline, three members, 128 bytes", "commit", "cpu_ns_per_entry",
             (*BATCHES, "batch=16 mode=each", "batch=256 mode=each", "batch=16 compact=0")),
    Workload("W2", "W2 the same, encoded", "commit", "cpu_ns_per_entry", BATCHES, "encoded=1"),
    Workload("W3", "W3 ten thousand idle groups", "idle", "cpu_ns_per_cold_tick",
             ("groups=10000",)),
    Workload("W4", "W4 one member", "commit", "cpu_ns_per_entry", ("batch=1",), "voters=1"),
    Workload("W5", "W5 large entries, encoded", "large", "cpu_ns_per_kib",
             tuple(f"payload={n}" for n in (65_536, 1_048_576, 4_194_304)), "encoded=1"),
    Workload("W8", "W8 linearizable reads", "reads", "cpu_ns_per_read",
             (*BATCHES, "batch=1 lease=1")),
    *growth(),
    *services(),
]
# Of these the table shows several metrics of one variant, side by side.
METRICS = {"W3": ["rss_bytes_per_node", "cpu_ns_per_hot_tick", "cpu_ns_per_cold_tick",
                  "cpu_ns_per_heartbeat_round"],
           "W7-disk": SERVICE_METRICS, "W7-memory": SERVICE_METRICS}
