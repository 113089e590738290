//! The command line: a workload, then `name=value` pairs.

/// The arguments of one run.
pub struct Args {
    workload: String,
    pairs: Vec<(String, String)>,
}

impl Args {
    /// Those of this process.
    ///
    /// # Panics
    /// When they are not of the form `WORKLOAD name=value…`.
    #[must_use]
    pub fn of_process() -> Self {
        let mut given = std::env::args().skip(1);
        let workload = given.next().expect("the first argument is the workload");
        let pair = |arg: String| {
            let (name, value) = arg.split_once('=').expect("the others are name=value");
            (name.to_owned(), value.to_owned())
        };
        Self { workload, pairs: given.map(pair).collect() }
    }

    pub(crate) fn workload(&self) -> &str {
        &self.workload
    }

    /// The text with this name, or what stands for it.
    #[must_use]
    pub fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.pairs.iter().find(|(n, _)| n == name).map_or(otherwise, |(_, value)| value)
    }

    /// The number with this name, or what stands for it.
    ///
    /// # Panics
    /// When it is no number.
    #[must_use]
    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        match self.text(name, "") {
            "" => otherwise,
            text => text.parse().expect("a number"),
        }
    }
}
