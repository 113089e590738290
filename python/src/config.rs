//! The configuration of a node.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use raftcore::{Index, MemoryStorage, Node};

use crate::enums::ReadOnly;
use crate::errors::{guarded, raise};
use crate::values::represent;

/// Makes the class from the list of its fields, whose names and types are the core's.
macro_rules! config {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $default:tt,)*) => {
        /// What a node is told once, when it is made: keywords only, checked at once.
        ///
        /// `seed` feeds the randomized election timeouts; the operating system's randomness
        /// gives one where it is left out. Raises ConfigError when it is impossible.
        #[pyclass(frozen, eq, module = "raftcore")]
        #[derive(PartialEq, Eq)]
        pub(crate) struct Config {
            pub(crate) inner: raftcore::Config,
        }

        #[pymethods]
        impl Config {
            #[new]
            #[pyo3(signature = (
                *, id, seed=None, applied=0, read_only=ReadOnly(0), $($field=$default),*
            ))]
            #[allow(clippy::too_many_arguments, reason = "each is a keyword in Python")]
            fn new(
                py: Python<'_>,
                id: u64,
                seed: Option<u64>,
                applied: u64,
                read_only: ReadOnly,
                $($field: $kind),*
            ) -> PyResult<Self> {
                let seed = match seed {
                    Some(seed) => seed,
                    None => random_seed(py)?,
                };
                let mut inner = raftcore::Config::new(id, seed);
                $(inner.$field = $field;)*
                inner.read_only = match read_only.0 {
                    1 => raftcore::ReadOnly::LeaseBased,
                    2 => raftcore::ReadOnly::LeaseUnverified,
                    _ => raftcore::ReadOnly::Safe,
                };
                check(&inner)?;
                inner.applied = Index(applied);
                Ok(Self { inner })
            }

            /// This node's id: not zero, not one of the two highest, never used before.
            #[getter]
            const fn id(&self) -> u64 {
                self.inner.id
            }

            /// Seeds the randomized election timeouts.
            #[getter]
            const fn seed(&self) -> u64 {
                self.inner.seed
            }

            /// The last index that the application has applied, when it restarts from its own
            /// state: the entries up to there are not handed out again.
            #[getter]
            const fn applied(&self) -> u64 {
                self.inner.applied.0
            }

            /// How reads are confirmed.
            #[getter]
            const fn read_only(&self) -> ReadOnly {
                ReadOnly(self.inner.read_only as i32)
            }

            $(
                $(#[$doc])*
                #[getter]
                const fn $field(&self) -> $kind {
                    self.inner.$field
                }
            )*

            /// The same configuration with these fields changed.
            #[pyo3(signature = (**changes))]
            fn replace<'py>(
                this: &Bound<'py, Self>,
                changes: Option<&Bound<'py, PyDict>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let fields = this.get().fields(this.py())?;
                if let Some(changes) = changes {
                    fields.update(changes.as_mapping())?;
                }
                this.get_type().call((), Some(&fields))
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let fields = self.fields(py)?;
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| (name.to_string(), value)).collect();
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
                represent("Config", &fields)
            }

            fn __hash__(&self) -> u64 {
                self.inner.id ^ self.inner.seed
            }

            #[allow(clippy::type_complexity, reason = "the form that pickle asks for")]
            fn __reduce__<'py>(
                this: &Bound<'py, Self>,
            ) -> PyResult<(
                Bound<'py, PyAny>,
                (Bound<'py, PyType>, Bound<'py, PyTuple>, Bound<'py, PyDict>),
            )> {
                let py = this.py();
                // The one door of pickle for a class that takes keywords only.
                let make = py.import("copyreg")?.getattr("__newobj_ex__")?;
                Ok((make, (this.get_type(), PyTuple::empty(py), this.get().fields(py)?)))
            }
        }

        impl Config {
            fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let fields = PyDict::new(py);
                fields.set_item("id", self.id())?;
                fields.set_item("seed", self.seed())?;
                fields.set_item("applied", self.applied())?;
                fields.set_item("read_only", self.read_only())?;
                $(fields.set_item(stringify!($field), self.$field())?;)*
                Ok(fields)
            }
        }

        /// The core's own defaults, so that a test can compare them with this class's.
        #[pyfunction]
        pub(crate) fn _config_defaults(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
            Config { inner: raftcore::Config::new(1, 0) }.into_bound_py_any(py)
        }
    };
}

config! {
    /// Ticks without a word from a leader after which a follower campaigns.
    election_timeout_ticks: u32 = 10,
    /// Ticks between a leader's heartbeats.
    heartbeat_interval_ticks: u32 = 1,
    /// Persist through two storage threads instead of Ready and advance.
    async_storage_writes: bool = false,
    /// The greatest size in bytes of the entries in one append message.
    max_message_bytes: u64 = 1048576,
    /// The greatest size of all committed entries handed out and not yet acknowledged as applied.
    /// Zero: as max_message_bytes.
    max_committed_bytes_per_ready: u64 = 0,
    /// The greatest size of the payloads that a leader holds proposed and not yet applied; above
    /// it proposals are dropped. Zero: no limit.
    max_uncommitted_bytes: u64 = 0,
    /// Append messages in flight to one member before the leader waits.
    max_inflight_messages: usize = 256,
    /// Payload bytes in flight to one member before the leader waits. Zero: no limit.
    max_inflight_bytes: u64 = 0,
    /// A leader that does not hear from a quorum within an election timeout steps down.
    check_quorum: bool = true,
    /// Ask whether an election could be won before raising the term.
    pre_vote: bool = true,
    /// The greatest number of reads that a leader keeps waiting for confirmation.
    max_pending_reads: usize = 65536,
    /// Whether a follower passes proposals on to the leader.
    forward_proposals: bool = true,
    /// Whether a leader replaces a membership change that cannot follow the present one.
    validate_conf_changes: bool = true,
    /// Whether a leader that is removed or demoted steps down when it applies the change.
    step_down_on_removal: bool = false,
    /// Whether a leader builds its appends when the Ready is taken, one for each member.
    coalesce_appends: bool = true,
    /// Whether requests for votes wait until what they speak of is durable.
    votes_wait_for_sync: bool = true,
}

/// Eight bytes of `os.urandom`.
fn random_seed(py: Python<'_>) -> PyResult<u64> {
    let bytes: Vec<u8> = py.import("os")?.call_method1("urandom", (8,))?.extract()?;
    Ok(bytes.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte)))
}

/// The core checks a configuration when it makes a node of it.
fn check(config: &raftcore::Config) -> PyResult<()> {
    guarded(|| Node::new(config, MemoryStorage::new()).map(|_| ()).map_err(raise))
}
