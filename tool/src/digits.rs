//! Bytes written as hexadecimal digits, as the kernel's log has what may be any bytes.

/// The bytes, or `None` if these are no pairs of digits.
pub(crate) fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let value = digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?;
        u8::try_from(value).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn pairs_of_digits_are_bytes() {
        assert_eq!(bytes(""), Some(vec![]));
        assert_eq!(bytes("2f00fF"), Some(b"/\0\xff".to_vec()));
        for wrong in ["2", "2f0", "zz", "+1", "\u{e9}"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
