//! What a family draws for some steps at a time.

use crate::TensorId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was drawn last for each tensor, and the step it was drawn for.
#[derive(Debug)]
pub(super) struct InUse<T>(Mutex<HashMap<TensorId, (u64, Arc<T>)>>);

impl<T> Default for InUse<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> InUse<T> {
    /// What was drawn for this tensor in step `since`, or else what `draw` draws; that of other steps is dropped.
    pub(super) fn of(&self, tensor: TensorId, since: u64, draw: impl FnOnce() -> T) -> Arc<T> {
        // what a panic has left behind is whole all the same
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(&tensor) {
            Some((drawn, kept)) if *drawn == since => Arc::clone(kept),
            _ => {
                let new = Arc::new(draw());
                all.insert(tensor, (since, Arc::clone(&new)));
                new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_holds_until_the_next_one() {
        let (in_use, tensor) = (InUse::default(), TensorId::of("w"));
        assert_eq!(*in_use.of(tensor, 0, || 'a'), 'a');
        assert_eq!(*in_use.of(tensor, 0, || 'b'), 'a');
        assert_eq!(*in_use.of(TensorId::of("v"), 0, || 'c'), 'c');
        assert_eq!(*in_use.of(tensor, 50, || 'd'), 'd');
        // a replay may go back
        assert_eq!(*in_use.of(tensor, 0, || 'e'), 'e');
    }
}
