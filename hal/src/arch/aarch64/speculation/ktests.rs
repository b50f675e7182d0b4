//! What is in the kernel's code against guesses: an emulator guesses nothing, so
//! that the instructions are looked at.

/// Whether there is the mask of an address in the code: `and` with the lower 47
/// bits, of any registers.
pub(crate) fn has_mask(code: &[u8]) -> bool {
    code.chunks_exact(4).any(|word| {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        word >> 10 == 0x9240_b800 >> 10
    })
}
