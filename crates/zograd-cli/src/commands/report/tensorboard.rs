//! Event files, as TensorBoard reads them: records with checksums, each a message of Protocol Buffers.

use zograd_runs::folder::RunRecord;

/// Name of the file in the folder of a run: what TensorBoard looks for.
const NAME: &str = "events.out.tfevents.0.zograd";

/// A file for each run, in a folder of the run's name.
pub fn files(runs: &[RunRecord]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for run in runs {
        let name = run.folder.file_name().unwrap_or(run.folder.as_os_str());
        let name = name.to_string_lossy();
        let numbered = (2..).map(|n| format!("{name}-{n}/{NAME}"));
        let mut free = std::iter::once(format!("{name}/{NAME}")).chain(numbered);
        let free = free.find(|free| files.iter().all(|(taken, _)| taken != free));
        files.extend(free.map(|free| (free, events(run))));
    }
    files
}

/// The steps and evaluations of a run. Times are seconds of training: when it began is not known.
fn events(run: &RunRecord) -> Vec<u8> {
    let mut file = Vec::new();
    let mut first = Message::default();
    first.double(1, 0.0);
    first.bytes(3, b"brain.Event:2");
    record(&mut file, &first.0);
    for step in &run.steps {
        let mut values = vec![
            ("train/loss", step.loss),
            ("train/projected_gradient", step.projected_gradient),
            ("train/lr", step.lr),
            ("train/forwards", step.forwards as f64),
            ("train/tokens", step.tokens as f64),
        ];
        values.extend(step.update_norm.map(|norm| ("train/update_norm", norm)));
        record(&mut file, &event(step.seconds, step.step, &values));
    }
    for eval in &run.evals {
        let score = format!("dev/{}", eval.dev_score.metric().key());
        let mut values = vec![("dev/loss", eval.dev_loss)];
        values.extend(eval.dev_score.value().map(|value| (score.as_str(), value)));
        record(&mut file, &event(eval.seconds, eval.step, &values));
    }
    file
}

/// An event with numbers; those that are not finite are left out, as a chart has no place for them.
fn event(seconds: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, number) in values.iter().filter(|(_, number)| number.is_finite()) {
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        value.float(2, *number as f32);
        summary.bytes(1, &value.0);
    }
    let mut event = Message::default();
    event.double(1, seconds);
    event.integer(2, step);
    event.bytes(5, &summary.0);
    event.0
}

/// Appends a record: its length and its bytes, with a checksum of each.
fn record(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend(data);
    file.extend(masked(data).to_le_bytes());
}

/// The checksum, turned and moved: so that one of bytes with checksums in them is as good as another.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Fields of a message: number and kind, then the value.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn double(&mut self, field: u8, value: f64) {
        self.0.push(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u8, value: f32) {
        self.0.push(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn integer(&mut self, field: u8, value: u64) {
        self.0.push(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u8, value: &[u8]) {
        self.0.push(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    /// Seven bits a byte, the lowest first; the eighth says that there are more.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that TensorBoard's own messages have (`tensorboard.compat.proto.event_pb2`).
    #[test]
    fn value_stability() {
        let mut file = Vec::new();
        record(&mut file, &event(1.5, 300, &[("a", 0.25), ("b", f64::NAN)]));
        let data = b"\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01a\x15\0\0\x80\x3e";
        assert_eq!(file[..8], (data.len() as u64).to_le_bytes());
        assert_eq!(file[12..file.len() - 4], data[..]);
        // the checksum of the digits is that of RFC 3720's appendix
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let sum = u32::from_le_bytes([file[8], file[9], file[10], file[11]]);
        let plain = sum.wrapping_sub(0xa282_ead8).rotate_left(15);
        assert_eq!(plain, crc32c::crc32c(&file[..8]));
    }
}
