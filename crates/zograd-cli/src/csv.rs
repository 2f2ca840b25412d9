//! Comma-separated values.

use std::fmt::{Display, Write};

/// Lines of comma-separated values as RFC 4180 has them, but for the line ends.
pub struct Csv {
    /// All lines so far.
    pub text: String,
}

impl Csv {
    /// With this head.
    pub fn new(heads: &[&str]) -> Self {
        Self {
            text: heads.join(",") + "\n",
        }
    }

    /// Adds a line.
    pub fn line(&mut self, fields: &[&dyn Display]) {
        for (k, field) in fields.iter().enumerate() {
            let field = field.to_string();
            let comma = if k == 0 { "" } else { "," };
            // writing to a string cannot fail
            let _ = match field.contains([',', '"', '\n']) {
                true => write!(self.text, "{comma}\"{}\"", field.replace('"', "\"\"")),
                false => write!(self.text, "{comma}{field}"),
            };
        }
        self.text.push('\n');
    }
}

/// A number that may be missing or not finite: then the field is empty.
pub struct Maybe(pub Option<f64>);

impl Display for Maybe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(x) if x.is_finite() => write!(f, "{x}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        let mut csv = Csv::new(&["a", "b", "c"]);
        csv.line(&[&"x, \"y\"", &1.5, &Maybe(Some(f64::NAN))]);
        assert_eq!(csv.text, "a,b,c\n\"x, \"\"y\"\"\",1.5,\n");
    }
}
