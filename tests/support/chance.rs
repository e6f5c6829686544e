//! Chance that can be repeated: a seed that is printed, and numbers that follow from it.

/// xorshift64*; the same seed gives the same sequence.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From `COAGENT_TEST_SEED`, or from the clock; printed, so that a failure names it.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var("COAGENT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
        let seed: u64 = given.unwrap_or_else(|| clock().as_micros() as u64);
        eprintln!("COAGENT_TEST_SEED={seed}");
        Self::new(seed)
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A sequence of its own, for one of several that run at once.
    pub(crate) fn branch(&mut self) -> Self {
        Self::new(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
