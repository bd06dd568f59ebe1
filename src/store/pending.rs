//! A value that is there, or comes later: the only form of "not yet" in the store.

use std::task::Poll;

/// There, or to be polled. Work that only reads is skipped when this is dropped.
pub enum Pending<T> {
    /// There.
    Ready(T),
    /// Polled until it is there, and not again.
    Later(Box<dyn FnMut() -> Poll<T>>),
}

impl<T: 'static> Pending<T> {
    /// What `poll` answers once it is ready.
    pub fn later(poll: impl FnMut() -> Poll<T> + 'static) -> Pending<T> {
        Pending::Later(Box::new(poll))
    }

    /// The value, or itself as long as there is none.
    pub fn take(self) -> Result<T, Pending<T>> {
        match self {
            Pending::Ready(value) => Ok(value),
            Pending::Later(mut poll) => match poll() {
                Poll::Ready(value) => Ok(value),
                Poll::Pending => Err(Pending::Later(poll)),
            },
        }
    }

    /// The value as `change` has it.
    pub fn map<U: 'static>(self, change: impl FnOnce(T) -> U + 'static) -> Pending<U> {
        self.then(|value| Pending::Ready(change(value)))
    }

    /// What `next` makes of the value, which may have to wait as well.
    pub fn then<U: 'static>(self, next: impl FnOnce(T) -> Pending<U> + 'static) -> Pending<U> {
        let mut first = match self {
            Pending::Ready(value) => return next(value),
            Pending::Later(poll) => Some((poll, next)),
        };
        let mut second: Option<Pending<U>> = None;
        Pending::later(move || {
            if let Some((mut poll, next)) = first.take() {
                let Poll::Ready(value) = poll() else {
                    first = Some((poll, next));
                    return Poll::Pending;
                };
                second = Some(next(value));
            }
            match second.take().expect("polled until it was there").take() {
                Ok(value) => Poll::Ready(value),
                Err(pending) => {
                    second = Some(pending);
                    Poll::Pending
                }
            }
        })
    }
}
