//! Files of texts in an encoding that is not read: which one it probably is.

use super::DataError;

/// Refuses the first bytes of a file in UTF-16, which its byte order mark or its zeros give away, and those of a packed one.
///
/// # Errors
/// [`DataError::Encoding`].
pub(super) fn check_begin(begin: &[u8], name: &str) -> Result<(), DataError> {
    const PACKED: [(&[u8], &str); 3] = [
        (b"\x1f\x8b", "gzip; unpack it first (gzip -dc)"),
        (b"\x28\xb5\x2f\xfd", "zstd; unpack it first (zstd -dc)"),
        (
            b"PK\x03\x04",
            "zip, as .xlsx is; save it as \"CSV UTF-8\", or unpack it first",
        ),
    ];
    if let Some((_, how)) = PACKED.iter().find(|(magic, _)| begin.starts_with(magic)) {
        return Err(DataError::Encoding {
            location: name.to_owned(),
            hint: format!(" but packed with {how}"),
        });
    }
    let wide: [&[u8]; 2] = [b"\xff\xfe\0\0", b"\0\0\xfe\xff"];
    if wide.iter().any(|mark| begin.starts_with(mark)) {
        return Err(DataError::Encoding {
            location: name.to_owned(),
            hint: format!(" but UTF-32; save it as UTF-8, or: iconv -f UTF-32 -t UTF-8 {name}"),
        });
    }
    let (little, big) = (
        begin.starts_with(b"\xff\xfe"),
        begin.starts_with(b"\xfe\xff"),
    );
    // letters of Latin scripts have a zero beside them
    let zeros = begin.iter().take(64).filter(|byte| **byte == 0).count();
    if little || big || zeros >= 8 {
        return Err(DataError::Encoding {
            location: name.to_owned(),
            hint: format!(
                " but UTF-16, as Excel's \"Unicode text\"; save it as \"CSV UTF-8\", or: iconv -f UTF-16 -t UTF-8 {name}"
            ),
        });
    }
    Ok(())
}

/// The error of bytes that are no UTF-8, at this place of the file `name`.
pub(super) fn not_utf8(bytes: &[u8], location: String, name: &str) -> DataError {
    let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
    let begin: String = String::from_utf8_lossy(&bytes[..at])
        .chars()
        .rev()
        .take(20)
        .collect();
    let begin: String = begin.chars().rev().collect();
    let byte = bytes.get(at).copied().unwrap_or_default();
    DataError::Encoding {
        location,
        hint: format!(
            " (byte {byte:#04x} behind {begin:?}) but probably Windows-1252, as what Excel calls CSV; save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 {name}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_named() {
        for bytes in [
            &b"\xff\xfet\0e\0"[..],
            b"\xfe\xff\0t",
            b"t\0e\0x\0t\0,\0l\0a\0b\0e\0l\0",
        ] {
            let error = check_begin(bytes, "a.csv").expect_err("UTF-16").to_string();
            assert!(
                error.contains("UTF-16") && error.ends_with("iconv -f UTF-16 -t UTF-8 a.csv"),
                "{error}"
            );
        }
        for bytes in [&b"\xff\xfe\0\0t\0\0\0"[..], b"\0\0\xfe\xff\0\0\0t"] {
            let error = check_begin(bytes, "a.csv").expect_err("UTF-32").to_string();
            assert!(error.ends_with("iconv -f UTF-32 -t UTF-8 a.csv"), "{error}");
        }
        for (bytes, word) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], "gzip -dc"),
            (b"PK\x03\x04\x14\0", "CSV UTF-8"),
        ] {
            let error = check_begin(bytes, "-").expect_err("packed").to_string();
            assert!(
                error.contains("but packed with") && error.contains(word),
                "{error}"
            );
        }
        check_begin("text,label\ngr\u{fc}n,1".as_bytes(), "a.csv").expect("UTF-8");
        let error = not_utf8(b"sehr gr\xfcn", "a.csv:3".into(), "a.csv").to_string();
        assert!(
            error.starts_with("a.csv:3: it is no UTF-8 (byte 0xfc behind \"sehr gr\")"),
            "{error}"
        );
        assert!(error.contains("Windows-1252"), "{error}");
    }
}
