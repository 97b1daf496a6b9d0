//! What two states of a room share until one of them changes it.

use alloc::sync::Arc;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A value that [`fork`](Shared::fork) shares, and that the first change after it copies.
///
/// How to copy is known from the first fork on, not by the type: who never forks, as a client, links no code that
/// copies.
pub(crate) struct Shared<T>(Arc<Forked<T>>);

struct Forked<T> {
    value: T,
    /// Not called before the first fork.
    copy: fn(&T) -> T,
}

impl<T> Shared<T> {
    /// Another handle to the same value. Costs the same whatever the value's size.
    pub(crate) fn fork(&mut self) -> Shared<T>
    where
        T: Clone,
    {
        // What is shared already knows how it is copied.
        if let Some(own) = Arc::get_mut(&mut self.0) {
            own.copy = T::clone;
        }
        Shared(self.0.clone())
    }
}

impl<T: Default> From<T> for Shared<T> {
    fn from(value: T) -> Shared<T> {
        Shared(Arc::new(Forked { value, copy: |_| T::default() }))
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared::from(T::default())
    }
}

/// An independent copy.
impl<T: Clone + Default> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared::from(self.0.value.clone())
    }
}

impl<T> Clone for Forked<T> {
    fn clone(&self) -> Forked<T> {
        Forked { value: (self.copy)(&self.value), copy: self.copy }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut Arc::make_mut(&mut self.0).value
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_is_forked_is_copied_by_the_first_change_and_only_then() {
        let mut one = Shared::from(Vec::from([1, 2]));
        let mut two = one.fork();
        let third = two.fork();
        assert!(core::ptr::eq(&*one, &*two) && core::ptr::eq(&*one, &*third));
        two.push(3);
        one.push(4);
        assert_eq!((&*one, &*two, &*third), (&[1, 2, 4].into(), &[1, 2, 3].into(), &[1, 2].into()));
        let before: *const Vec<i32> = &raw const *one;
        one.push(5);
        assert_eq!(before, &raw const *one);
        let mut copied = one.clone();
        copied.push(6);
        assert_eq!(one.len(), 4);
    }
}
