//! What a test sets for the reads of its thread: how large pieces and blocks are, and whether the quick ways are taken.
//!
//! A text of a few hundred bytes would never meet the borders of blocks of a megabyte. With blocks of some bytes it does,
//! at every place, and goes the way that files go. Nothing may depend on it.

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::set::{Trial, block, by_hand, piece};

/// How many bytes of a text are taken at a time.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn piece(usual: usize) -> usize {
    usual
}

/// How many bytes of a text make a block.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn block(usual: usize) -> usize {
    usual
}

/// Whether the code that knows every case does all.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn by_hand() -> bool {
    false
}

#[cfg(any(test, feature = "testing"))]
mod set {
    use std::cell::Cell;

    /// How texts are read; what is not said is as usual.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct Trial {
        pub(crate) piece: Option<usize>,
        pub(crate) block: Option<usize>,
        pub(crate) by_hand: bool,
    }

    thread_local! {
        static TRIAL: Cell<Trial> = const { Cell::new(Trial { piece: None, block: None, by_hand: false }) };
    }

    impl Trial {
        /// Runs a read, all of whose async code is polled on this thread.
        pub(crate) fn run<T>(self, read: impl FnOnce() -> T) -> T {
            /// Puts back what was, whatever happens.
            struct Before(Trial);
            impl Drop for Before {
                fn drop(&mut self) {
                    TRIAL.set(self.0);
                }
            }
            let _before = Before(TRIAL.replace(self));
            read()
        }
    }

    /// How many bytes of a text are taken at a time.
    pub(crate) fn piece(usual: usize) -> usize {
        TRIAL.get().piece.unwrap_or(usual).max(1)
    }

    /// How many bytes of a text make a block.
    pub(crate) fn block(usual: usize) -> usize {
        TRIAL.get().block.unwrap_or(usual)
    }

    /// Whether the code that knows every case does all.
    pub(crate) fn by_hand() -> bool {
        TRIAL.get().by_hand
    }
}
