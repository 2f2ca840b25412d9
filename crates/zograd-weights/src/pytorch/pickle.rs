//! The pickle of a state dict, interpreted as data.
//!
//! A pickle is a program for a stack machine that can call any Python function. This machine knows the
//! few opcodes that state dicts consist of and the few functions that they name, none of which it calls:
//! it notes which tensors they would have made. Whatever else is named is refused.
//!
//! Values are small and refer to each other by number, so that a pickle can neither multiply (a pair of a
//! pair of a pair) nor nest what it holds beyond its own size.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read};
use std::rc::Rc;

use super::layout::Layout;

/// Values that one pickle may make. A state dict has about 40 a tensor, so this is enough for 5,000
/// tensors, and keeps what a pickle of one-byte opcodes can occupy below 64 MiB.
const MAX_VALUES: usize = 200_000;

/// A tensor that a pickle describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    pub storage: Storage,
    pub layout: Layout,
}

/// Where the numbers of one or several tensors are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Name in the archive's folder `data`, or in the list of an older file.
    pub key: Rc<str>,
    /// Name of the type, for example `HalfStorage`.
    pub kind: Rc<str>,
    /// Number of elements.
    pub elements: u64,
}

/// What a pickle makes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// The tensors of a dict, by their keys.
    StateDict(BTreeMap<Rc<str>, Tensor>),
    /// The texts of a list.
    Texts(Vec<Rc<str>>),
    /// Something else that is well-formed.
    Other,
}

/// Why a file is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is truncated, changed, or of no such format: what is wrong.
    Damaged(String),
    /// It is whole as far as can be told, and no state dict: why not.
    Foreign(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::Damaged(reason.to_owned())
    }
}

/// Interprets one pickle and leaves `input` behind its end.
pub(super) fn read(input: &mut impl BufRead) -> Result<Made, Fault> {
    let mut machine = Machine {
        input,
        stack: Vec::new(),
        memo: HashMap::new(),
        sequences: Vec::new(),
        dicts: Vec::new(),
        storages: Vec::new(),
        tensors: Vec::new(),
        values: 0,
    };
    while machine.step()? {}
    Ok(machine.made()?)
}

#[derive(Debug, Clone)]
enum Value {
    Int(i64),
    Text(Rc<str>),
    /// A tuple or a list.
    Sequence(usize),
    Dict(usize),
    /// One of the functions and types in [`function`] and [`storage_kind`].
    Function(Function),
    Kind(Rc<str>),
    Storage(usize),
    Tensor(usize),
    None,
    /// A value that has no bearing on tensors.
    Other,
    Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
}

struct Machine<'r, R> {
    input: &'r mut R,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    sequences: Vec<Vec<Value>>,
    dicts: Vec<BTreeMap<Rc<str>, Value>>,
    storages: Vec<Storage>,
    tensors: Vec<Tensor>,
    /// How many values were made.
    values: usize,
}

impl<R: BufRead> Machine<'_, R> {
    /// Interprets one opcode; `false` at the end of the pickle.
    fn step(&mut self) -> Result<bool, Fault> {
        let [opcode] = self.bytes()?;
        match opcode {
            b'.' => return Ok(false),
            // protocol number
            0x80 => {
                self.bytes::<1>()?;
            }
            b'(' => self.push(Value::Mark)?,
            b'N' => self.push(Value::None)?,
            // True, False
            0x88 | 0x89 => self.push(Value::Other)?,
            b'}' => self.new_dict()?,
            // an empty list, an empty tuple
            b']' | b')' => self.new_sequence(Vec::new())?,
            b'K' => {
                let [byte] = self.bytes()?;
                self.push(Value::Int(byte.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.bytes()?);
                self.push(Value::Int(value.into()))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.bytes()?);
                self.push(Value::Int(value.into()))?;
            }
            0x8a => {
                let [length] = self.bytes()?;
                let bytes = self.take(length.into())?;
                self.push(long(&bytes))?;
            }
            b'G' => {
                self.bytes::<8>()?;
                self.push(Value::Other)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.bytes()?);
                let text = text(self.take(length.into())?)?;
                self.push(Value::Text(text.into()))?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let named = named(&module, &name)?;
                self.push(named)?;
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
                let first = self.stack.len().checked_sub(count).ok_or(UNDERFLOW)?;
                let values = self.stack.split_off(first);
                self.new_sequence(values)?;
            }
            b't' => {
                let values = self.since_mark()?;
                self.new_sequence(values)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.since_mark()?;
                self.append(values)?;
            }
            // BUILD: attributes of the value below, such as the metadata of a state dict
            b'b' => {
                self.pop()?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let values = self.since_mark()?;
                self.set_items(values)?;
            }
            other => {
                let reason = format!("pickle opcode {other:#04x} has no place in a state dict");
                return Err(reason.into());
            }
        }
        Ok(true)
    }

    /// A storage, which a tuple describes: `("storage", type, key, device, elements)`, and in older files
    /// a view of it or None.
    fn storage(&mut self) -> Result<(), String> {
        let arguments = self.pop()?;
        let storage = match self.sequence(&arguments) {
            Some(
                [
                    Value::Text(_),
                    Value::Kind(kind),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(elements),
                ]
                | [
                    Value::Text(_),
                    Value::Kind(kind),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(elements),
                    Value::None,
                ],
            ) => Storage {
                key: Rc::clone(key),
                kind: Rc::clone(kind),
                elements: u64::try_from(*elements)
                    .map_err(|_| format!("a storage of {elements} elements"))?,
            },
            _ => return Err("a storage that is not described as torch does".to_owned()),
        };
        self.push(Value::Storage(self.storages.len()))?;
        self.storages.push(storage);
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Some(arguments), Value::Function(function)) = (self.sequence(&arguments), function)
        else {
            return Err("a call of something that is no function".to_owned());
        };
        match function {
            Function::OrderedDict if arguments.is_empty() => self.new_dict(),
            Function::OrderedDict => Err("an OrderedDict that is made of another value".to_owned()),
            Function::RebuildParameter => match arguments.first() {
                Some(&Value::Tensor(number)) => self.push(Value::Tensor(number)),
                _ => Err("a parameter that is made of no tensor".to_owned()),
            },
            Function::RebuildTensor => {
                // (storage, offset, size, stride, ..)
                let [
                    Value::Storage(storage),
                    Value::Int(offset),
                    shape,
                    strides,
                    ..,
                ] = arguments
                else {
                    return Err("a tensor without storage, offset, size and stride".to_owned());
                };
                let (Ok(offset), Some(shape), Some(strides)) = (
                    u64::try_from(*offset),
                    self.sizes(shape),
                    self.sizes(strides),
                ) else {
                    return Err("a tensor whose offset, size or stride is impossible".to_owned());
                };
                if shape.len() != strides.len() {
                    return Err("a tensor whose size and stride differ in length".to_owned());
                }
                let tensor = Tensor {
                    storage: self.storages[*storage].clone(),
                    layout: Layout {
                        offset,
                        shape,
                        strides,
                    },
                };
                self.push(Value::Tensor(self.tensors.len()))?;
                self.tensors.push(tensor);
                Ok(())
            }
        }
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), String> {
        match self.stack.last() {
            Some(&Value::Sequence(number)) => self.sequences[number].extend(values),
            _ => return Err("an append to something that is no list".to_owned()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(&Value::Dict(number)) = self.stack.last() else {
            return Err("an item for something that is no dict".to_owned());
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            let value = items.next().ok_or("a key without a value")?;
            // other keys than texts name no tensor
            if let Value::Text(key) = key {
                self.dicts[number].insert(key, value);
            }
        }
        Ok(())
    }

    fn made(mut self) -> Result<Made, String> {
        Ok(match self.pop()? {
            Value::Dict(number) => {
                let items = std::mem::take(&mut self.dicts[number]).into_iter();
                let tensors = items.filter_map(|(key, value)| match value {
                    Value::Tensor(tensor) => Some((key, self.tensors[tensor].clone())),
                    _ => None,
                });
                Made::StateDict(tensors.collect())
            }
            Value::Sequence(number) => {
                let values = std::mem::take(&mut self.sequences[number]).into_iter();
                let texts = values.map(|value| match value {
                    Value::Text(text) => Some(text),
                    _ => None,
                });
                texts
                    .collect::<Option<_>>()
                    .map_or(Made::Other, Made::Texts)
            }
            _ => Made::Other,
        })
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("it makes more than {MAX_VALUES} values"));
        }
        self.stack.push(value);
        Ok(())
    }

    fn new_sequence(&mut self, values: Vec<Value>) -> Result<(), String> {
        self.push(Value::Sequence(self.sequences.len()))?;
        self.sequences.push(values);
        Ok(())
    }

    fn new_dict(&mut self) -> Result<(), String> {
        self.push(Value::Dict(self.dicts.len()))?;
        self.dicts.push(BTreeMap::new());
        Ok(())
    }

    fn sequence(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::Sequence(number) => Some(&self.sequences[*number]),
            _ => None,
        }
    }

    fn sizes(&self, value: &Value) -> Option<Vec<usize>> {
        let size = |value: &Value| match value {
            Value::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        self.sequence(value)?.iter().map(size).collect()
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
            Some(b'\n') => text(line),
            _ => Err("the pickle ends within a name".to_owned()),
        }
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| UNDERFLOW.to_owned())
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
        let value = self.stack.last().ok_or(UNDERFLOW)?;
        self.memo.insert(slot, value.clone());
        if self.memo.len() > MAX_VALUES {
            return Err(format!("it remembers more than {MAX_VALUES} values"));
        }
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), String> {
        let value = self.memo.get(&slot).ok_or("an unknown memo slot")?.clone();
        self.push(value)
    }
}

const UNDERFLOW: &str = "a value is missing on the pickle's stack";

/// What a name of Python stands for.
fn named(module: &str, name: &str) -> Result<Value, Fault> {
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Value::Function(Function::OrderedDict)),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
            Ok(Value::Function(Function::RebuildTensor))
        }
        ("torch._utils", "_rebuild_parameter") => Ok(Value::Function(Function::RebuildParameter)),
        ("torch", kind) if width(kind).is_some() => Ok(Value::Kind(kind.into())),
        // where what a state dict names stands, another name may be a damaged one
        ("collections" | "torch" | "torch._utils", _) => Err(Fault::Damaged(format!(
            "it names {:?}, which no state dict needs and is not run",
            format!("{module}.{name}")
        ))),
        _ => Err(Fault::Foreign(format!(
            "it is no state dict: it names {:?}, which is not run; of a pickled model save model.state_dict()",
            format!("{module}.{name}")
        ))),
    }
}

/// Bytes an element of a storage type.
pub(super) fn width(kind: &str) -> Option<u64> {
    match kind {
        "BoolStorage" | "ByteStorage" | "CharStorage" => Some(1),
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => Some(2),
        "FloatStorage" | "IntStorage" => Some(4),
        "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => Some(8),
        "ComplexDoubleStorage" => Some(16),
        _ => None,
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

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "a name that is no UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(mut pickle: &[u8]) -> String {
        match read(&mut pickle).expect_err("must be refused") {
            Fault::Damaged(reason) | Fault::Foreign(reason) => reason,
        }
    }

    #[test]
    fn damage_is_an_error_and_not_a_panic() {
        for pickle in [
            &b""[..],
            b".",
            b"R.",
            b"\x80\x02u.",
            b"X\xff\xff\xff\xffabc",
            b"h\x01.",
            b"\x87.",
            b"cnever ends",
            b"\x95.",
            b"(K\x01K\x02K\x03u.",
            b"}K\x01K\x02(K\x01u.",
            b"K\x01Q.",
            b"Na.",
        ] {
            refused(pickle);
        }
        let empty = read(&mut &b"\x80\x02}."[..]);
        assert_eq!(empty, Ok(Made::StateDict(BTreeMap::new())));
    }

    #[test]
    fn code_is_refused_by_its_name() {
        for (pickle, name) in [
            (&b"cos\nsystem\n)R."[..], "os.system"),
            (b"cbuiltins\neval\n.", "builtins.eval"),
            (b"ctorch\nload\n.", "torch.load"),
            (b"ccollections\nOrderedDict\n}sposix", "0x70"),
            (b"ios\nsystem\n.", "0x69"),
            (b"\x8c\x02os\x8c\x06system\x93.", "0x8c"),
        ] {
            let error = refused(pickle);
            assert!(error.contains(name) || error.contains("no dict"), "{error}");
        }
    }

    /// A pair of a pair of a pair .. doubles what a machine that copies values holds with each six bytes.
    #[test]
    fn values_that_double_are_no_larger_than_their_pickle() {
        let mut pickle = b")q\x00".to_vec();
        for _ in 0..60_000 {
            pickle.extend(b"h\x00h\x00\x86q\x00");
        }
        pickle.push(b'.');
        assert_eq!(read(&mut &pickle[..]), Ok(Made::Other));
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let pickle = vec![b'}'; MAX_VALUES + 1];
        assert!(refused(&pickle).contains("values"));
    }

    #[test]
    fn nesting_is_no_recursion() {
        let mut pickle = b")".to_vec();
        pickle.resize(MAX_VALUES, 0x85);
        pickle.push(b'.');
        assert_eq!(read(&mut &pickle[..]), Ok(Made::Other));
    }
}
