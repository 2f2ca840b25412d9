//! The beginning of a file, read in order, and never further than the file goes.

use std::io::BufRead;

use super::value::{Array, Value};

/// Arrays in arrays that are read; files have none deeper than two.
const MAX_DEPTH: usize = 4;

/// Bytes behind a place, of a file of known size.
pub(super) struct Input<R> {
    input: R,
    size: u64,
    left: u64,
}

impl<R: BufRead> Input<R> {
    /// The whole file of `size` bytes.
    pub fn new(input: R, size: u64) -> Self {
        Self {
            input,
            size,
            left: size,
        }
    }

    /// Bytes that were read.
    pub fn position(&self) -> u64 {
        self.size - self.left
    }

    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.spend(N as u64)?;
        self.input.read_exact(&mut bytes).map_err(text)?;
        Ok(bytes)
    }

    pub fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// How many things follow, each of at least `width` bytes.
    pub fn count(&mut self, what: &str, width: u64) -> Result<usize, String> {
        let count = self.u64()?;
        if count > self.left / width {
            return Err(format!(
                "it claims {count} {what}, for which {} bytes are not enough",
                self.left
            ));
        }
        usize::try_from(count).map_err(|error| error.to_string())
    }

    pub fn text(&mut self) -> Result<String, String> {
        let length = self.count("bytes of a text", 1)?;
        let mut bytes = vec![0; length];
        self.spend(length as u64)?;
        self.input.read_exact(&mut bytes).map_err(text)?;
        String::from_utf8(bytes).map_err(|_| "a text in it is no UTF-8".to_owned())
    }

    /// A value with the number of its type in front.
    pub fn value(&mut self) -> Result<Value, String> {
        Ok(match self.u32()? {
            0 => Value::U8(u8::from_le_bytes(self.bytes()?)),
            1 => Value::I8(i8::from_le_bytes(self.bytes()?)),
            2 => Value::U16(u16::from_le_bytes(self.bytes()?)),
            3 => Value::I16(i16::from_le_bytes(self.bytes()?)),
            4 => Value::U32(self.u32()?),
            5 => Value::I32(i32::from_le_bytes(self.bytes()?)),
            6 => Value::F32(f32::from_le_bytes(self.bytes()?)),
            7 => Value::Bool(self.bool()?),
            8 => Value::Text(self.text()?),
            9 => Value::Array(self.array(1)?),
            10 => Value::U64(self.u64()?),
            11 => Value::I64(i64::from_le_bytes(self.bytes()?)),
            12 => Value::F64(f64::from_le_bytes(self.bytes()?)),
            other => return Err(unknown(other)),
        })
    }

    fn array(&mut self, depth: usize) -> Result<Array, String> {
        if depth > MAX_DEPTH {
            return Err(format!("arrays are nested deeper than {MAX_DEPTH}"));
        }
        Ok(match self.u32()? {
            0 => Array::U8(self.numbers(u8::from_le_bytes)?),
            1 => Array::I8(self.numbers(i8::from_le_bytes)?),
            2 => Array::U16(self.numbers(u16::from_le_bytes)?),
            3 => Array::I16(self.numbers(i16::from_le_bytes)?),
            4 => Array::U32(self.numbers(u32::from_le_bytes)?),
            5 => Array::I32(self.numbers(i32::from_le_bytes)?),
            6 => Array::F32(self.numbers(f32::from_le_bytes)?),
            7 => Array::Bool(self.many(1, Self::bool)?),
            8 => Array::Text(self.many(8, Self::text)?),
            9 => Array::Array(self.many(12, |input| input.array(depth + 1))?),
            10 => Array::U64(self.numbers(u64::from_le_bytes)?),
            11 => Array::I64(self.numbers(i64::from_le_bytes)?),
            12 => Array::F64(self.numbers(f64::from_le_bytes)?),
            other => return Err(unknown(other)),
        })
    }

    fn numbers<T, const N: usize>(&mut self, number: fn([u8; N]) -> T) -> Result<Vec<T>, String> {
        self.many(N as u64, |input| Ok(number(input.bytes()?)))
    }

    fn many<T>(
        &mut self,
        width: u64,
        mut one: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let count = self.count("values of an array", width)?;
        (0..count).map(|_| one(self)).collect()
    }

    fn bool(&mut self) -> Result<bool, String> {
        match self.bytes()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("{other} is no truth value")),
        }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or("it is cut off")?;
        Ok(())
    }
}

fn unknown(number: u32) -> String {
    format!("{number} is no type of a value")
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
