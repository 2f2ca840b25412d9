//! Eight scales and eight offsets of 6 bits in 12 bytes, as Q4_K and Q5_K have them.

/// The first four of each are the lower six bits of a byte; the others have their upper two bits above these, and their
/// lower four in the last bytes.
pub(super) fn scale_and_offset(packed: &[u8], i: usize) -> (u8, u8) {
    if i < 4 {
        return (packed[i] & 63, packed[i + 4] & 63);
    }
    let (low, scale, offset) = (packed[i + 4], packed[i - 4], packed[i]);
    (low & 15 | scale >> 2 & 48, low >> 4 | offset >> 2 & 48)
}
