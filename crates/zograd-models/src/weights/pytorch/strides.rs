//! The memory layout of the tensors in a PyTorch pickle.
//!
//! burn-store's reader (0.21) takes every tensor for row-major: a transposed view, which
//! `torch.save` stores as it lies in memory, would be read with its values in the wrong places. So
//! the pickle is gone through once more, for the strides alone. This interprets the few opcodes that
//! state dicts consist of and refuses all others, and every callable but the ones that rebuild
//! tensors; it runs before anything else looks at the file.

use std::collections::HashMap;
use std::io::{BufRead, Read};

/// Size and strides of a tensor, both in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

impl Layout {
    pub fn is_row_major(&self) -> bool {
        let mut expected = 1;
        self.shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(size, stride)| {
                let fits = *size <= 1 || *stride == expected;
                // sizes are data: a product that overflows matches no stride either
                expected = expected.saturating_mul(*size);
                fits
            })
            || self.shape.contains(&0)
    }

    /// Bytes in storage order to row-major order, `width` bytes an element. `None` if the view
    /// skips elements, so that `bytes` does not hold all of it. The shape must have been checked.
    pub fn to_row_major(&self, bytes: &[u8], width: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.shape.iter().product() {
            let steps = index.iter().zip(&self.strides);
            let offset = steps.fold(0usize, |offset, (index, stride)| {
                offset.saturating_add(stride.saturating_mul(*index))
            });
            let start = offset.saturating_mul(width);
            out.extend_from_slice(bytes.get(start..start.saturating_add(width))?);
            for (index, size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        Some(out)
    }
}

/// What the scan has to tell apart on the pickle's stack.
#[derive(Debug, Clone)]
enum Value {
    Int(i64),
    Text(String),
    Tuple(Vec<Value>),
    /// `module name`
    Global(String),
    Mark,
    Other,
}

/// The layouts of all tensors of one pickle, by their keys.
pub(super) fn layouts(pickle: impl BufRead) -> Result<HashMap<String, Layout>, String> {
    let mut scan = Scan {
        input: pickle,
        stack: Vec::new(),
        memo: HashMap::new(),
        found: HashMap::new(),
    };
    while scan.step()? {}
    Ok(scan.found)
}

struct Scan<R> {
    input: R,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    found: HashMap<String, Layout>,
}

impl<R: BufRead> Scan<R> {
    /// Interprets one opcode; `false` at the end of the pickle.
    fn step(&mut self) -> Result<bool, String> {
        let [opcode] = self.bytes()?;
        match opcode {
            b'.' => return Ok(false),
            // protocol number
            0x80 => {
                self.bytes::<1>()?;
            }
            b'(' => self.stack.push(Value::Mark),
            // None, True, False, an empty dict, an empty list
            b'N' | 0x88 | 0x89 | b'}' | b']' => self.stack.push(Value::Other),
            b')' => self.stack.push(Value::Tuple(Vec::new())),
            b'K' => {
                let [byte] = self.bytes()?;
                self.stack.push(Value::Int(byte.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(value.into()));
            }
            0x8a => {
                let [length] = self.bytes()?;
                let bytes = self.take(length.into())?;
                self.stack.push(long(&bytes));
            }
            b'G' => {
                self.bytes::<8>()?;
                self.stack.push(Value::Other);
            }
            b'X' => {
                let length = u32::from_le_bytes(self.bytes()?);
                let text = self.take(length.into())?;
                let text = String::from_utf8(text).map_err(|error| error.to_string())?;
                self.stack.push(Value::Text(text));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(format!("{module} {name}")));
            }
            b'q' => {
                let [slot] = self.bytes()?;
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.bytes()?);
                self.remember(slot)?;
            }
            b'h' => {
                let [slot] = self.bytes()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.bytes()?);
                self.recall(slot)?;
            }
            // tuples of one to three values
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let first = self
                    .stack
                    .len()
                    .checked_sub(count)
                    .ok_or("stack underflow")?;
                let values = self.stack.split_off(first);
                self.stack.push(Value::Tuple(values));
            }
            b't' => {
                let values = self.since_mark()?;
                self.stack.push(Value::Tuple(values));
            }
            // a storage
            b'Q' => {
                self.pop()?;
                self.stack.push(Value::Other);
            }
            b'R' => self.call()?,
            // APPEND, BUILD: one value goes into the one below
            b'a' | b'b' => {
                self.pop()?;
            }
            // SETITEM: key and value
            b's' => {
                self.pop()?;
                self.pop()?;
            }
            // APPENDS, SETITEMS
            b'e' | b'u' => {
                self.since_mark()?;
            }
            other => {
                return Err(format!(
                    "pickle opcode {other:#04x} has no place in a state dict"
                ));
            }
        }
        Ok(true)
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(callable)) = (arguments, callable) else {
            return Err("a call of something that is no function".to_owned());
        };
        match callable.as_str() {
            "collections OrderedDict" | "torch._utils _rebuild_parameter" => {}
            "torch._utils _rebuild_tensor" | "torch._utils _rebuild_tensor_v2" => {
                // (storage, offset, size, stride, ...)
                let (Some(shape), Some(strides)) =
                    (sizes(arguments.get(2)), sizes(arguments.get(3)))
                else {
                    return Err("a tensor without size and stride".to_owned());
                };
                if shape.len() != strides.len() {
                    return Err("a tensor whose size and stride differ in length".to_owned());
                }
                // the key under which the tensor is about to be put
                let key = self.stack.iter().rev().find_map(|value| match value {
                    Value::Text(key) => Some(key.clone()),
                    _ => None,
                });
                self.found
                    .insert(key.unwrap_or_default(), Layout { shape, strides });
            }
            other => return Err(format!("it calls {other:?}, which no state dict needs")),
        }
        self.stack.push(Value::Other);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.input
            .read_exact(&mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// Grows as it reads, so that a length that lies cannot exhaust the memory.
    fn take(&mut self, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(length).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == length => Ok(bytes),
            Ok(_) => Err("the pickle ends within a value".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        let read = self
            .input
            .by_ref()
            .take(1 << 12)
            .read_until(b'\n', &mut line);
        read.map_err(|error| error.to_string())?;
        match line.pop() {
            Some(b'\n') => String::from_utf8(line).map_err(|error| error.to_string()),
            _ => Err("the pickle ends within a name".to_owned()),
        }
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "stack underflow".to_owned())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self
            .stack
            .iter()
            .rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or("a mark is missing")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn remember(&mut self, slot: u32) -> Result<(), String> {
        let value = self.stack.last().ok_or("stack underflow")?;
        self.memo.insert(slot, value.clone());
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), String> {
        let value = self.memo.get(&slot).ok_or("an unknown memo slot")?;
        self.stack.push(value.clone());
        Ok(())
    }
}

/// Little-endian two's complement; what does not fit is no size and matters to nobody here.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

fn sizes(value: Option<&Value>) -> Option<Vec<usize>> {
    let Some(Value::Tuple(values)) = value else {
        return None;
    };
    let size = |value: &Value| match value {
        Value::Int(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    values.iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], strides: &[usize]) -> Layout {
        Layout {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn row_major_is_recognised() {
        assert!(layout(&[], &[]).is_row_major());
        assert!(layout(&[2, 3, 4], &[12, 4, 1]).is_row_major());
        // the stride of a dimension of size 1 is arbitrary
        assert!(layout(&[1, 3], &[99, 1]).is_row_major());
        assert!(layout(&[0, 3], &[7, 7]).is_row_major());
        assert!(!layout(&[2, 3], &[1, 2]).is_row_major());
        assert!(!layout(&[2, 3], &[6, 2]).is_row_major());
        assert!(!layout(&[2, usize::MAX, 2], &[1, 2, 1]).is_row_major());
    }

    #[test]
    fn views_are_reordered() {
        // rows (0 2 4) and (1 3 5) of a transposed [3, 2]
        let bytes = [0, 1, 2, 3, 4, 5];
        let view = layout(&[2, 3], &[1, 2]);
        assert_eq!(view.to_row_major(&bytes, 1), Some(vec![0, 2, 4, 1, 3, 5]));
        let wide = layout(&[3, 1], &[1, 1]);
        assert_eq!(wide.to_row_major(&bytes, 2), Some(bytes.to_vec()));
        // every second element: the bytes of the view end before its last element
        assert_eq!(layout(&[6], &[2]).to_row_major(&bytes, 1), None);
        assert_eq!(layout(&[6], &[usize::MAX]).to_row_major(&bytes, 1), None);
    }

    #[test]
    fn damage_is_an_error_and_not_a_panic() {
        for pickle in [
            &b""[..],
            b"R.",
            b"\x80\x02u.",
            b"X\xff\xff\xff\xffabc",
            b"cos\nsystem\n)R.",
            b"h\x01.",
            b"\x87.",
            b"cnever ends",
            b"\x95.",
        ] {
            assert!(layouts(pickle).is_err(), "{pickle:?}");
        }
        assert_eq!(layouts(&b"\x80\x02}."[..]), Ok(HashMap::new()));
    }
}
