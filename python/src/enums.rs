//! Numbers that are members of an `enum.IntEnum` in Python (`raftcore/_enums.py`).

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The members of one enumeration, at the place of their number.
pub(crate) type Members = PyOnceLock<Vec<Py<PyAny>>>;

/// The members, looked up once.
pub(crate) fn members<'a>(
    py: Python<'_>,
    cache: &'a Members,
    name: &str,
) -> PyResult<&'a Vec<Py<PyAny>>> {
    cache.get_or_try_init(py, || {
        let class = py.import("raftcore._enums")?.getattr(name)?;
        class.try_iter()?.map(|member| Ok(member?.unbind())).collect()
    })
}

pub(crate) fn unknown(name: &str, number: i32) -> PyErr {
    PyValueError::new_err(format!("{number} is not a valid {name}"))
}

/// A number whose Python form is a member of an enumeration. Its numbers count from zero.
macro_rules! int_enum {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) struct $name(pub(crate) i32);

        impl $name {
            fn members(py: Python<'_>) -> PyResult<&'static Vec<Py<PyAny>>> {
                static CACHE: $crate::enums::Members = $crate::enums::Members::new();
                $crate::enums::members(py, &CACHE, stringify!($name))
            }
        }

        impl<'py> IntoPyObject<'py> for $name {
            type Target = PyAny;
            type Output = Bound<'py, PyAny>;
            type Error = PyErr;

            fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
                let member = Self::members(py)?.get(usize::try_from(self.0)?);
                let member = member.ok_or_else(|| unknown(stringify!($name), self.0))?;
                Ok(member.bind(py).clone())
            }
        }

        impl<'py> IntoPyObject<'py> for &$name {
            type Target = PyAny;
            type Output = Bound<'py, PyAny>;
            type Error = PyErr;

            fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
                (*self).into_pyobject(py)
            }
        }

        impl<'py> FromPyObject<'_, 'py> for $name {
            type Error = PyErr;

            fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
                let number: i32 = object.extract()?;
                let count = Self::members(object.py())?.len();
                match usize::try_from(number) {
                    Ok(place) if place < count => Ok(Self(number)),
                    _ => Err(unknown(stringify!($name), number)),
                }
            }
        }
    };
}

int_enum!(Role);
int_enum!(EntryKind);
int_enum!(MessageKind);
int_enum!(ConfChangeKind);
int_enum!(ConfChangeTransition);
int_enum!(ReadOnly);
int_enum!(ProgressState);
int_enum!(DropReason);
int_enum!(ConfChangeRefusal);
int_enum!(RefusalReason);
int_enum!(SnapshotStatus);
