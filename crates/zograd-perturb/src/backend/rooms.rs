use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Tensors that were made out of place and lent: those that nobody else holds any more are room for others.
///
/// Fresh memory is dear: the system clears each of its pages when it is first written to, which takes longer than to make
/// the weights, and allocators give large pieces back as soon as they are free. So what one layer leaves becomes the next
/// layer's.
///
/// A request that nothing fits lets go of all that is free: what is kept is never more than what was in use at once.
pub struct Rooms<T> {
    lent: Vec<T>,
}

impl<T> Rooms<T> {
    /// Keeps a handle of a tensor that is given out.
    pub fn lend(&mut self, tensor: T) {
        self.lent.push(tensor);
    }

    /// A tensor that is free and fits, which now has no other owner.
    pub fn take(&mut self, is_free: impl Fn(&T) -> bool, fits: impl Fn(&T) -> bool) -> Option<T> {
        let found = self
            .lent
            .iter()
            .position(|tensor| is_free(tensor) && fits(tensor));
        if found.is_none() {
            self.lent.retain(|tensor| !is_free(tensor));
        }
        found.map(|place| self.lent.swap_remove(place))
    }
}

impl<T> Default for Rooms<T> {
    fn default() -> Self {
        Self { lent: Vec::new() }
    }
}

impl<T> fmt::Debug for Rooms<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rooms({} lent)", self.lent.len())
    }
}

/// The rooms of whatever backend asks first.
#[derive(Default)]
pub(crate) struct AnyRooms(Mutex<Option<Box<dyn Any + Send>>>);

impl AnyRooms {
    /// Gives `make` the rooms for tensors of this type. While one thread has them, others find none.
    pub(crate) fn with<T: Send + 'static, R>(&self, make: impl FnOnce(&mut Rooms<T>) -> R) -> R {
        let taken = self.lock().take();
        let mut rooms: Box<Rooms<T>> = taken
            .and_then(|rooms| rooms.downcast().ok())
            .unwrap_or_default();
        let made = make(&mut rooms);
        *self.lock() = Some(rooms);
        made
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        // what a panic has left behind is whole all the same
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn is_free(tensor: &Arc<Vec<f32>>) -> bool {
        Arc::strong_count(tensor) == 1
    }

    #[test]
    fn what_nobody_holds_is_room_and_what_fits_nothing_is_let_go() {
        let all = AnyRooms::default();
        let held = Arc::new(vec![0f32; 4]);
        all.with(|rooms| {
            rooms.lend(Arc::new(vec![0f32; 2]));
            rooms.lend(Arc::clone(&held));
            rooms.lend(Arc::new(vec![0f32; 3]));
        });
        let sized = |n: usize| move |tensor: &Arc<Vec<f32>>| tensor.len() == n;
        let found = all.with(|rooms| rooms.take(is_free, sized(3)));
        assert_eq!(found.map(|tensor| tensor.len()), Some(3));
        // in use, and so no room: the free one goes
        assert!(all.with(|rooms| rooms.take(is_free, sized(4))).is_none());
        all.with::<Arc<Vec<f32>>, _>(|rooms| assert_eq!(format!("{rooms:?}"), "Rooms(1 lent)"));
        drop(held);
        assert!(all.with(|rooms| rooms.take(is_free, sized(4))).is_some());
    }
}
