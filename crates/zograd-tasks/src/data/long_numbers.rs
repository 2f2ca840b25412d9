//! Numbers of JSON that no 64 bits hold, such as the names that some tables give their rows.

/// The text with every such number as a text: a whole one that is neither an `i64` nor a `u64`, or one of more digits than an
/// `f64` has. None, if there is no such number.
///
/// ```
/// use zograd_tasks::long_numbers_as_texts;
///
/// let quoted = long_numbers_as_texts(r#"{"id": 123456789012345678901, "n": 5}"#);
/// assert_eq!(quoted.as_deref(), Some(r#"{"id": "123456789012345678901", "n": 5}"#));
/// assert_eq!(long_numbers_as_texts(r#"{"id": "123456789012345678901"}"#), None);
/// ```
pub fn long_numbers_as_texts(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let mut quoted: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            b'"' => text_bytes(rest),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let end = rest.iter().position(|byte| !is_part(byte));
                let length = end.unwrap_or(rest.len());
                let number = &json[at..at + length];
                if is_long(number) {
                    let to = quoted.get_or_insert_default();
                    to.push_str(&json[copied..at]);
                    to.extend(["\"", number, "\""]);
                    copied = at + length;
                }
                length
            }
            _ => 1,
        };
    }
    if let Some(to) = &mut quoted {
        to.push_str(&json[copied..]);
    }
    quoted
}

/// How many bytes a text has that begins here, with its quotation marks.
fn text_bytes(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether a number has more digits than the one that is made of it.
fn is_long(number: &str) -> bool {
    /// Digits after which not every `f64` is told from its neighbours.
    const DIGITS: usize = 17;
    if !number.contains(['.', 'e', 'E']) {
        return number.parse::<i64>().is_err() && number.parse::<u64>().is_err();
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len() > DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_64_bits_hold_stays_a_number() {
        for short in [
            r#"{"a": [1, -2.5e-3, 18446744073709551615, -9223372036854775808]}"#,
            r#"{"123456789012345678901": "1\"23456789012345678901\\"}"#,
            r#"{"a": 0.30000000000000004, "b": 100000000000000000000.0}"#,
            "\"never closed \\",
            "",
        ] {
            assert_eq!(long_numbers_as_texts(short), None, "{short}");
        }
        for (long, texts) in [
            ("[18446744073709551616]", "[\"18446744073709551616\"]"),
            (
                "{\"a\":-9223372036854775809,\"b\":3.14159265358979323846e2}",
                "{\"a\":\"-9223372036854775809\",\"b\":\"3.14159265358979323846e2\"}",
            ),
        ] {
            assert_eq!(long_numbers_as_texts(long).as_deref(), Some(texts));
        }
    }
}
