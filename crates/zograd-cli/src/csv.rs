//! Comma-separated values.

use csv::Writer;
use std::fmt::Display;

/// Lines of comma-separated values.
pub struct Csv(Writer<Vec<u8>>);

impl Csv {
    /// With this head.
    pub fn new(heads: &[&str]) -> Self {
        let mut csv = Self(Writer::from_writer(Vec::new()));
        let heads: Vec<&dyn Display> = heads.iter().map(|head| head as &dyn Display).collect();
        csv.line(&heads);
        csv
    }

    /// Adds a line, with as many fields as the head has.
    pub fn line(&mut self, fields: &[&dyn Display]) {
        let fields = fields.iter().map(ToString::to_string);
        let written = self.0.write_record(fields);
        debug_assert!(written.is_ok(), "{written:?}");
    }

    /// All lines.
    pub fn into_bytes(self) -> Vec<u8> {
        // what is written into memory arrives
        self.0.into_inner().unwrap_or_default()
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
        assert_eq!(csv.into_bytes(), b"a,b,c\n\"x, \"\"y\"\"\",1.5,\n");
    }
}
