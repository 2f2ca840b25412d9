//! JSON as Python's `json.dumps` writes it: `{"a": [1, 2]}`.

use serde_json::ser::{Formatter, PrettyFormatter};
use std::io::{self, Write};

/// How it is laid out.
pub(crate) struct Layout<'a> {
    /// Blanks of a level; none on one line.
    pub indent: Option<usize>,
    /// What stands between items, and behind a key.
    pub separators: (&'a str, &'a str),
}

/// Writes a value, of at most `most` bytes.
///
/// # Errors
/// It is longer, or cannot be written as JSON.
pub(crate) fn dumps(
    value: &impl serde::Serialize,
    layout: &Layout<'_>,
    most: usize,
) -> Result<String, String> {
    let mut bytes = Bounded {
        bytes: Vec::new(),
        most,
    };
    let written = match layout.indent {
        None => {
            let separated = Separated(layout.separators);
            let mut to = serde_json::Serializer::with_formatter(&mut bytes, separated);
            value.serialize(&mut to)
        }
        Some(indent) => {
            let blanks = " ".repeat(indent.min(16));
            let pretty = PrettyFormatter::with_indent(blanks.as_bytes());
            let mut to = serde_json::Serializer::with_formatter(&mut bytes, pretty);
            value.serialize(&mut to)
        }
    };
    written.map_err(|error| error.to_string())?;
    String::from_utf8(bytes.bytes).map_err(|error| error.to_string())
}

/// On one line.
struct Separated<'a>((&'a str, &'a str));

impl Separated<'_> {
    fn between<W: ?Sized + Write>(&self, to: &mut W, first: bool) -> io::Result<()> {
        match first {
            true => Ok(()),
            false => to.write_all(self.0.0.as_bytes()),
        }
    }
}

impl Formatter for Separated<'_> {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.between(to, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.between(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(self.0.1.as_bytes())
    }
}

/// Values may share parts, so that a small one is long when it is written.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::Error::other("the JSON is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
