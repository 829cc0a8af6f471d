//! Numbers that are in memory of their own, or lie in a model file: mapped, or read as one piece.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use bytes::Bytes;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a model file may hold as it is in memory: words of one size, any of whose bits are a value.
pub(crate) trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Send + 'static {
    /// The bytes of a word. Words are little-endian in files.
    const WORD: usize;
}

impl Plain for u32 {
    const WORD: usize = 4;
}

impl Plain for [u32; 2] {
    const WORD: usize = 4;
}

impl Plain for u64 {
    const WORD: usize = 8;
}

impl Plain for f64 {
    const WORD: usize = 8;
}

/// A list of numbers. It reads as a slice; only one in memory of its own can change.
pub(crate) enum Store<T> {
    /// In memory of its own.
    Owned(Vec<T>),
    /// A part of a file that several lists may share.
    Shared(Shared<T>),
}

/// Bytes that are aligned for `T` and a multiple of its size: [`Store::of`] makes no others.
pub(crate) struct Shared<T>(Bytes, PhantomData<T>);

impl<T: Plain> Store<T> {
    /// The numbers that these bytes of a file are: in place where the machine reads them so, else copied once. None
    /// where there is a rest, or no memory for a copy.
    pub(crate) fn of(bytes: Bytes) -> Option<Self> {
        if cfg!(target_endian = "little") && <[T]>::ref_from_bytes(&bytes).is_ok() {
            return Some(Self::Shared(Shared(bytes, PhantomData)));
        }
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return None;
        }
        let mut owned = Vec::new();
        owned.try_reserve_exact(bytes.len() / size_of::<T>()).ok()?;
        owned.extend(bytes.chunks_exact(size_of::<T>()).map(|bytes| {
            let mut value = T::new_zeroed();
            let copy = value.as_mut_bytes();
            copy.copy_from_slice(bytes);
            if cfg!(target_endian = "big") {
                copy.chunks_exact_mut(T::WORD).for_each(<[u8]>::reverse);
            }
            value
        }));
        Some(Self::Shared(Shared(Bytes::from_owner(Words(owned)), PhantomData)))
    }

    /// A part of the list, sharing what is shared.
    pub(crate) fn part(&self, begin: usize, end: usize) -> Self {
        match self {
            Self::Owned(values) => Self::Owned(values[begin..end].to_vec()),
            Self::Shared(Shared(bytes, _)) => {
                let size = size_of::<T>();
                Self::Shared(Shared(bytes.slice(begin * size..end * size), PhantomData))
            }
        }
    }

    /// The list to add to; one that is shared is copied before.
    pub(crate) fn to_mut(&mut self) -> &mut Vec<T> {
        if let Self::Shared(_) = self {
            *self = Self::Owned(self.to_vec());
        }
        match self {
            Self::Owned(values) => values,
            Self::Shared(_) => unreachable!("it was copied"),
        }
    }
}

/// Numbers that are lent as bytes.
struct Words<T>(Vec<T>);

impl<T: Plain> AsRef<[u8]> for Words<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The bytes of numbers in a file.
pub(crate) fn bytes_of<T: Plain>(values: &[T]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(values.as_bytes());
    }
    let mut bytes = values.as_bytes().to_vec();
    bytes.chunks_exact_mut(T::WORD).for_each(<[u8]>::reverse);
    Cow::Owned(bytes)
}

impl<T: Plain> Deref for Store<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(values) => values,
            Self::Shared(Shared(bytes, _)) => match <[T]>::ref_from_bytes(bytes) {
                Ok(values) => values,
                Err(_) => unreachable!("checked when it was made"),
            },
        }
    }
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl<T> From<Vec<T>> for Store<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(values)
    }
}

impl<T: Clone> Clone for Store<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Owned(values) => Self::Owned(values.clone()),
            Self::Shared(Shared(bytes, kind)) => Self::Shared(Shared(bytes.clone(), *kind)),
        }
    }
}

impl<T: Plain + PartialEq> PartialEq for Store<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_place_where_they_are_aligned_and_copied_elsewhere() {
        let numbers = [1_u64, 2 << 40, 3, u64::MAX];
        let mut bytes = vec![0; 8];
        numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        let bytes = Bytes::from(bytes);
        let aligned = bytes.as_ptr().align_offset(8);
        for begin in 0..=8 {
            let stored = Store::<u64>::of(bytes.slice(begin..begin + 24)).unwrap();
            let in_place = bytes.as_ptr_range().contains(&stored.as_ptr().cast());
            assert_eq!(in_place, cfg!(target_endian = "little") && begin % 8 == aligned, "{begin}");
            let expected: Vec<u64> =
                bytes[begin..begin + 24].chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
            assert_eq!(*stored, expected);
            assert_eq!(*stored.part(1, 3), expected[1..3]);
        }
        assert!(Store::<u64>::of(bytes.slice(0..9)).is_none());
        assert_eq!(&bytes_of(&numbers)[..], &bytes[8..]);
    }

    #[test]
    fn a_shared_list_is_copied_before_it_changes() {
        let bytes = Bytes::from(vec![7; 64]);
        let mut stored = Store::<u32>::of(bytes.clone()).unwrap();
        let before = stored.clone();
        stored.to_mut().push(1);
        assert_eq!((stored.len(), before.len()), (17, 16));
        assert_eq!(bytes[..], [7; 64]);
    }
}
