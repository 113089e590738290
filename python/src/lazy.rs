//! Python objects that are made when somebody looks.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// An object that is made when somebody looks, and is the same one from then on.
///
/// PyO3's own cell lets go of the interpreter around each making, and waits to get it back. Here
/// two threads that look at once may both make one, and both get the first.
pub(crate) struct Lazy<T>(OnceLock<Py<T>>);

impl<T> Lazy<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn get<'py>(
        &self,
        py: Python<'py>,
        make: impl FnOnce() -> PyResult<Bound<'py, T>>,
    ) -> PyResult<Bound<'py, T>> {
        match self.0.get() {
            Some(object) => Ok(object.bind(py).clone()),
            None => Ok(self.keep(make()?)),
        }
    }

    fn keep<'py>(&self, object: Bound<'py, T>) -> Bound<'py, T> {
        let py = object.py();
        let object = object.unbind();
        self.0.get_or_init(|| object).bind(py).clone()
    }
}

impl Lazy<PyBytes> {
    /// These bytes, copied once.
    pub(crate) fn bytes<'py>(&self, py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
        match self.0.get() {
            Some(object) => object.bind(py).clone(),
            None => self.keep(PyBytes::new(py, data)),
        }
    }
}
