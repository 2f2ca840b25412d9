//! What a rank sends, as bytes: numbers in their bits, so that they arrive as they were.

use crate::RankError;

/// What a rank sends.
#[derive(Clone, Debug, Default)]
pub struct Outgoing(Vec<u8>);

impl Outgoing {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole number.
    pub fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// A real number, finite or not.
    pub fn real(&mut self, real: f64) {
        self.number(real.to_bits());
    }

    /// So many real numbers of 32 bits.
    pub fn reals32(&mut self, reals: &[f32]) {
        self.number(reals.len() as u64);
        let bits = reals.iter().map(|real| real.to_bits().to_le_bytes());
        self.0.extend(bits.flatten());
    }

    /// Some bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A text, or none.
    pub fn text(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        if let Some(text) = text {
            self.bytes(text.as_bytes());
        }
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a rank sent, to be read in the order in which it was put together.
#[derive(Clone, Debug)]
pub struct Incoming<'b> {
    rank: usize,
    rest: &'b [u8],
}

impl<'b> Incoming<'b> {
    /// What this rank sent.
    pub fn of(rank: usize, bytes: &'b [u8]) -> Self {
        Self { rank, rest: bytes }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A whole number; `what` is for the error.
    ///
    /// # Errors
    /// There is none left.
    pub fn number(&mut self, what: &'static str) -> Result<u64, RankError> {
        let mut bits = [0; 8];
        bits.copy_from_slice(self.take(8, what)?);
        Ok(u64::from_le_bytes(bits))
    }

    /// How many things follow, each of which takes so many bytes at least.
    ///
    /// # Errors
    /// There are not so many left.
    pub fn count(&mut self, bytes: usize, what: &'static str) -> Result<usize, RankError> {
        let count = self.number(what)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / bytes.max(1) => Ok(count),
            _ => Err(self.unreadable(what)),
        }
    }

    /// A real number.
    ///
    /// # Errors
    /// There is none left.
    pub fn real(&mut self, what: &'static str) -> Result<f64, RankError> {
        self.number(what).map(f64::from_bits)
    }

    /// Real numbers of 32 bits.
    ///
    /// # Errors
    /// There are fewer left.
    pub fn reals32(&mut self, what: &'static str) -> Result<Vec<f32>, RankError> {
        let count = self.count(4, what)?;
        let bytes = self.take(4 * count, what)?;
        let bits = bytes
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(bits.map(f32::from_bits).collect())
    }

    /// Some bytes.
    ///
    /// # Errors
    /// There are fewer left.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'b [u8], RankError> {
        let count = self.count(1, what)?;
        self.take(count, what)
    }

    /// A text, or none.
    ///
    /// # Errors
    /// What is left is no text.
    pub fn text(&mut self, what: &'static str) -> Result<Option<String>, RankError> {
        if self.number(what)? == 0 {
            return Ok(None);
        }
        let bytes = self.bytes(what)?.to_vec();
        let text = String::from_utf8(bytes).map_err(|_| self.unreadable(what))?;
        Ok(Some(text))
    }

    /// The error of bytes that cannot be read as `what` they should be.
    pub fn unreadable(&self, what: &'static str) -> RankError {
        let rank = self.rank;
        RankError::Unreadable { rank, what }
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'b [u8], RankError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.unreadable(what));
        };
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_as_it_was_and_halves_are_refused() {
        let mut sent = Outgoing::new();
        sent.number(u64::MAX);
        sent.real(f64::NEG_INFINITY);
        sent.reals32(&[0.1, f32::NAN, -0.0]);
        sent.text(Some("wörter"));
        sent.text(None);
        let read = |bytes: &[u8]| -> Result<_, RankError> {
            let mut got = Incoming::of(3, bytes);
            let number = got.number("a number")?;
            let real = got.real("a real")?;
            let reals = got.reals32("reals")?;
            let reals: Vec<u32> = reals.iter().map(|r| r.to_bits()).collect();
            let texts = (got.text("a text")?, got.text("a text")?);
            assert!(got.is_empty());
            Ok((number, real, reals, texts))
        };
        let reals = [0.1f32, f32::NAN, -0.0].map(f32::to_bits).to_vec();
        let texts = (Some("wörter".into()), None);
        let all = (u64::MAX, f64::NEG_INFINITY, reals, texts);
        assert_eq!(read(sent.as_bytes()), Ok(all));
        for end in 0..sent.as_bytes().len() {
            let half = read(&sent.as_bytes()[..end]);
            assert!(matches!(half, Err(RankError::Unreadable { rank: 3, .. })));
        }
        // a count that nothing stands behind allocates nothing
        let mut huge = Outgoing::new();
        huge.number(u64::MAX);
        assert!(Incoming::of(0, huge.as_bytes()).bytes("bytes").is_err());
    }
}
