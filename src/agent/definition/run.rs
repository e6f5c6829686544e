//! How the runs of an agent are treated (`run:`).

/// What `run:` says, with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Whether a run that was cut off goes on from its last step (`durable: steps`), instead of being closed as interrupted
    /// (`off`). Agents elsewhere cannot.
    pub durable: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self { durable: true }
    }
}
