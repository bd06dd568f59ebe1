//! A value that is ready or is polled for later. Every store operation returns one.

use std::task::Poll;

/// A value that is ready, or must be polled. Dropping it skips work that only reads.
pub enum Pending<T> {
    /// The value is available.
    Ready(T),
    /// Polled until it returns the value, then never again.
    Later(Box<dyn FnMut() -> Poll<T>>),
}

impl<T: 'static> Pending<T> {
    /// A value that `poll` returns once it is available.
    pub fn later(poll: impl FnMut() -> Poll<T> + 'static) -> Pending<T> {
        Pending::Later(Box::new(poll))
    }

    /// The value, or `self` while it is not available.
    pub fn take(self) -> Result<T, Pending<T>> {
        match self {
            Pending::Ready(value) => Ok(value),
            Pending::Later(mut poll) => match poll() {
                Poll::Ready(value) => Ok(value),
                Poll::Pending => Err(Pending::Later(poll)),
            },
        }
    }

    /// Applies `change` to the value once it is available.
    pub fn map<U: 'static>(self, change: impl FnOnce(T) -> U + 'static) -> Pending<U> {
        self.then(|value| Pending::Ready(change(value)))
    }

    /// Continues with `next`, which may return a value that is not available yet either.
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
