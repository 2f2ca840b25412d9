//! Damage to JSON that leaves most of it standing: values, keys, nesting.

use crate::bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// What values are replaced by, as text: JSON has no other way to say some of it.
pub const VALUES: [&[u8]; 34] = [
    b"0",
    b"-1",
    b"1",
    b"3",
    b"255",
    b"65536",
    b"1048576",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"0.5",
    b"-0.0",
    b"1e-400",
    b"1e308",
    b"1e309",
    b"NaN",
    b"Infinity",
    b"nan",
    b"true",
    b"null",
    b"\"\"",
    b"\"x\"",
    b"\"../../../../etc/passwd\"",
    b"\"/etc/passwd\"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\xff\xfe\xc3\"",
    b"\"\\\\\"",
    b"[]",
    b"{}",
    b"[[{}]]",
];

/// Deeper than any stack allows a reader that calls itself for each level.
const DEPTH: usize = 100_000;

#[derive(Clone, Debug)]
enum Change {
    /// Another value.
    Value(Index, usize),
    /// Without this member or element.
    Remove(Index),
    /// With this member or element twice.
    Twice(Index),
    /// A copy of another value.
    Copy(Index, Index),
    /// Another name for a member.
    Rename(Index, Index),
    /// `[[[[..]]]]` in its place, closed or not.
    Deep(Index, bool),
    /// A text or list of some length.
    Long(Index, bool),
}

/// A value whose scalars are bytes as they stand in the file.
#[derive(Clone)]
enum Node {
    Scalar(Vec<u8>),
    List(Vec<Node>),
    Object(Vec<(Vec<u8>, Node)>),
}

/// The JSON text `original` after one to three changes; sometimes also with damaged bytes.
///
/// # Panics
/// `original` is no JSON.
pub fn damaged(original: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let value: Value = serde_json::from_slice(original).expect("valid JSON");
    let node = Node::new(&value);
    let changes = prop::collection::vec(change(), 1..4);
    let changed = changes.prop_map(move |changes| {
        let mut node = node.clone();
        for change in &changes {
            node.apply(change);
        }
        let mut text = Vec::new();
        node.write(&mut text);
        text
    });
    prop_oneof![4 => changed, 1 => bytes::damaged(original.to_vec())]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (any::<Index>(), 0..VALUES.len()).prop_map(|(at, v)| Change::Value(at, v)),
        2 => any::<Index>().prop_map(Change::Remove),
        2 => any::<Index>().prop_map(Change::Twice),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(to, from)| Change::Copy(to, from)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(to, from)| Change::Rename(to, from)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, closed)| Change::Deep(at, closed)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, list)| Change::Long(at, list)),
    ]
}

impl Node {
    fn new(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::new).collect()),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| (quoted(key), Self::new(value)))
                    .collect(),
            ),
            scalar => Self::Scalar(scalar.to_string().into_bytes()),
        }
    }

    fn apply(&mut self, change: &Change) {
        let count = self.count();
        match change {
            Change::Value(at, value) => {
                self.set(at.index(count), Self::Scalar(VALUES[*value].to_vec()));
            }
            Change::Deep(at, closed) => {
                let mut text = vec![b'['; DEPTH];
                if *closed {
                    text.resize(2 * DEPTH, b']');
                }
                self.set(at.index(count), Self::Scalar(text));
            }
            Change::Long(at, list) => {
                let text = match list {
                    true => format!("[{}0]", "0,".repeat(5000)),
                    false => format!("\"{}\"", "ab ".repeat(20_000)),
                };
                self.set(at.index(count), Self::Scalar(text.into_bytes()));
            }
            Change::Copy(to, from) => {
                let copy = self.at(&mut from.index(count)).cloned();
                if let Some(copy) = copy {
                    self.set(to.index(count), copy);
                }
            }
            Change::Remove(at) => self.edit(at.index(count), &mut |siblings, i| siblings.remove(i)),
            Change::Twice(at) => self.edit(at.index(count), &mut |siblings, i| siblings.repeat(i)),
            Change::Rename(to, from) => {
                let from = from.index(count);
                let name = VALUES[from % VALUES.len()].to_vec();
                self.edit(to.index(count), &mut |siblings, i| {
                    siblings.rename(i, &name)
                });
            }
        }
    }

    /// Number of nodes, this one included.
    fn count(&self) -> usize {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::List(items) => items.iter().map(Self::count).sum(),
            Self::Object(members) => members.iter().map(|(_, node)| node.count()).sum(),
        }
    }

    /// The node with this number in depth-first order.
    fn at(&mut self, number: &mut usize) -> Option<&mut Self> {
        if *number == 0 {
            return Some(self);
        }
        *number -= 1;
        match self {
            Self::Scalar(_) => None,
            Self::List(items) => items.iter_mut().find_map(|node| node.at(number)),
            Self::Object(members) => members.iter_mut().find_map(|(_, node)| node.at(number)),
        }
    }

    fn set(&mut self, mut number: usize, node: Self) {
        if let Some(place) = self.at(&mut number) {
            *place = node;
        }
    }

    /// Calls `change` with the parent of the node with this number and its place there.
    fn edit(&mut self, number: usize, change: &mut dyn FnMut(&mut Self, usize)) {
        if number == 0 {
            // the outermost value has no parent
            return;
        }
        let mut passed = 1;
        let children: Vec<usize> = match self {
            Self::Scalar(_) => return,
            Self::List(items) => items.iter().map(Self::count).collect(),
            Self::Object(members) => members.iter().map(|(_, node)| node.count()).collect(),
        };
        for (i, size) in children.into_iter().enumerate() {
            if number == passed {
                return change(self, i);
            }
            if number < passed + size {
                let child = match self {
                    Self::Scalar(_) => return,
                    Self::List(items) => &mut items[i],
                    Self::Object(members) => &mut members[i].1,
                };
                return child.edit(number - passed, change);
            }
            passed += size;
        }
    }

    fn remove(&mut self, i: usize) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => drop(items.remove(i)),
            Self::Object(members) => drop(members.remove(i)),
        }
    }

    fn repeat(&mut self, i: usize) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => items.insert(i, items[i].clone()),
            Self::Object(members) => members.insert(i, members[i].clone()),
        }
    }

    /// Keys must be texts; a value that is none makes invalid JSON, which is wanted as well.
    fn rename(&mut self, i: usize, name: &[u8]) {
        if let Self::Object(members) = self {
            members[i].0 = name.to_vec();
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut separator = b"".as_slice();
        match self {
            Self::Scalar(text) => out.extend(text),
            Self::List(items) => {
                out.push(b'[');
                for node in items {
                    out.extend(std::mem::replace(&mut separator, b","));
                    node.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (key, node) in members {
                    out.extend(std::mem::replace(&mut separator, b","));
                    out.extend(key);
                    out.push(b':');
                    node.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn quoted(key: &str) -> Vec<u8> {
    Value::from(key).to_string().into_bytes()
}
