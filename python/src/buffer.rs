//! Bytes in and out: whatever has the buffer protocol comes in, `bytes` go out.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

/// The bytes of an object, copied: the caller may change its buffer afterwards.
///
/// # Errors
/// `TypeError` for what has no buffer: a list of numbers and a `str` are no bytes.
pub(crate) fn payload(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    // Any format, any stride: Python itself flattens it.
    let flat = PyMemoryView::from(object)?.call_method0("tobytes")?;
    Ok(Bytes::copy_from_slice(flat.cast::<PyBytes>()?.as_bytes()))
}

/// A field of bytes in a value.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Blob(pub(crate) Bytes);

impl<'py> FromPyObject<'_, 'py> for Blob {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        payload(&object).map(Self)
    }
}

impl<'py> IntoPyObject<'py> for &Blob {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Ok(PyBytes::new(py, &self.0))
    }
}

impl<'py> IntoPyObject<'py> for Blob {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (&self).into_pyobject(py)
    }
}
