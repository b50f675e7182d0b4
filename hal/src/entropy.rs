//! Random seeds from the processor: RDSEED, RDRAND, timing jitter mixed in.

pub(crate) mod sponge;

/// A seed of 256 bits for a cryptographic generator. `hardware` in the result
/// is false where only jitter was to be had.
#[must_use]
pub fn seed() -> Seed {
    let (bytes, hardware) = crate::arch::machine::random::seed();
    Seed { bytes, hardware }
}

/// See [`seed`].
#[derive(Clone, Debug)]
pub struct Seed {
    /// The random bytes.
    pub bytes: [u8; 32],
    /// Whether a hardware generator contributed.
    pub hardware: bool,
}
