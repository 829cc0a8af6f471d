//! Encryption of what is sent to MinIO's admin API: a key by PBKDF2, then fragments by AES-256-GCM.
//!
//! It is the form of MinIO's own client where that may use approved algorithms only, so it needs no Argon2:
//!
//! ```text
//! salt (32) | 0x02 | nonce (8) | fragments
//! ```
//!
//! A fragment is up to 16 KiB and a tag. Its nonce is the 8 bytes and its number, from 1; number 0 gives the tag of an
//! empty text, which with a mark for the last fragment before it is the associated data of all. So none can be left
//! out, put elsewhere, or be the last but by the sender's will.

use std::num::NonZeroU32;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2;
use ring::rand::SystemRandom;

use super::key::fill;
use crate::error::{Error, Result};

const SALT_LENGTH: usize = 32;
const PBKDF2_AES_GCM: u8 = 2;
/// How much of the nonce is drawn; the rest counts fragments.
const NONCE_LENGTH: usize = NONCE_LEN - 4;
const TAG_LENGTH: usize = 16;
const FRAGMENT_LENGTH: usize = 1 << 14;
const ITERATIONS: NonZeroU32 = NonZeroU32::new(8192).expect("not zero");
/// What stands before the tag in the associated data.
const NOT_LAST: u8 = 0x00;
const LAST: u8 = 0x80;

/// Encrypts for who knows the password, which is the secret that signs the request.
pub(super) fn seal(password: &str, text: &[u8]) -> Result<Vec<u8>> {
    let random = SystemRandom::new();
    let (mut salt, mut nonce) = ([0; SALT_LENGTH], [0; NONCE_LENGTH]);
    fill(&random, &mut salt)?;
    fill(&random, &mut nonce)?;
    let cipher = Cipher::new(password, &salt, nonce)?;
    // No text at all is one empty fragment.
    let count = text.len().div_ceil(FRAGMENT_LENGTH).max(1);
    let mut sealed = Vec::with_capacity(salt.len() + 1 + nonce.len() + text.len() + count * TAG_LENGTH);
    sealed.extend_from_slice(&salt);
    sealed.push(PBKDF2_AES_GCM);
    sealed.extend_from_slice(&nonce);
    for number in 0..count {
        let rest = &text[number * FRAGMENT_LENGTH..];
        let mut fragment = rest[..rest.len().min(FRAGMENT_LENGTH)].to_vec();
        let mark = if number + 1 == count { LAST } else { NOT_LAST };
        let nonce = cipher.nonce(number + 1)?;
        let sealing = cipher.key.seal_in_place_append_tag(nonce, Aad::from(cipher.associated(mark)), &mut fragment);
        sealing.map_err(|_| failed())?;
        sealed.extend_from_slice(&fragment);
    }
    Ok(sealed)
}

/// A key, and what its fragments have in common.
struct Cipher {
    key: LessSafeKey,
    nonce: [u8; NONCE_LENGTH],
    /// The tag of fragment number 0.
    tag: [u8; TAG_LENGTH],
}

impl Cipher {
    fn new(password: &str, salt: &[u8], nonce: [u8; NONCE_LENGTH]) -> Result<Self> {
        let mut bytes = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut bytes);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| failed())?);
        let mut cipher = Self { key, nonce, tag: [0; TAG_LENGTH] };
        let tag = cipher.key.seal_in_place_separate_tag(cipher.nonce(0)?, Aad::empty(), &mut []);
        cipher.tag.copy_from_slice(tag.map_err(|_| failed())?.as_ref());
        Ok(cipher)
    }

    fn nonce(&self, number: usize) -> Result<Nonce> {
        let number = u32::try_from(number).map_err(|_| failed().with_reason("it is too long"))?;
        let mut bytes = [0; NONCE_LEN];
        bytes[..NONCE_LENGTH].copy_from_slice(&self.nonce);
        bytes[NONCE_LENGTH..].copy_from_slice(&number.to_le_bytes());
        Ok(Nonce::assume_unique_for_key(bytes))
    }

    fn associated(&self, mark: u8) -> [u8; 1 + TAG_LENGTH] {
        let mut bytes = [mark; 1 + TAG_LENGTH];
        bytes[1..].copy_from_slice(&self.tag);
        bytes
    }
}

fn failed() -> Error {
    Error::internal("encrypt", "a request to MinIO's admin API")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of what was sealed, as the server opens it: fragment by fragment, the last one by its mark.
    fn open(password: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = sealed.split_at_checked(SALT_LENGTH)?;
        let (kind, rest) = rest.split_first()?;
        let (nonce, mut rest) = rest.split_at_checked(NONCE_LENGTH)?;
        assert_eq!(*kind, PBKDF2_AES_GCM);
        let cipher = Cipher::new(password, salt, nonce.try_into().unwrap()).unwrap();
        let mut text = Vec::new();
        for number in 1.. {
            let (fragment, after) = rest.split_at(rest.len().min(FRAGMENT_LENGTH + TAG_LENGTH));
            let mark = if after.is_empty() { LAST } else { NOT_LAST };
            let mut fragment = fragment.to_vec();
            let aad = Aad::from(cipher.associated(mark));
            text.extend_from_slice(cipher.key.open_in_place(cipher.nonce(number).unwrap(), aad, &mut fragment).ok()?);
            if after.is_empty() {
                break;
            }
            rest = after;
        }
        Some(text)
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_password_alone() {
        let sealed = seal("hush", b"{}").unwrap();
        assert_eq!(open("hush", &sealed).unwrap(), b"{}");
        assert!(open("Hush", &sealed).is_none());
        assert_ne!(sealed, seal("hush", b"{}").unwrap(), "salt and nonce are drawn anew");
    }

    #[test]
    fn fragments_end_where_they_must() {
        for (length, fragments) in [
            (0, 1),
            (1, 1),
            (FRAGMENT_LENGTH - 1, 1),
            (FRAGMENT_LENGTH, 1),
            (FRAGMENT_LENGTH + 1, 2),
            (2 * FRAGMENT_LENGTH, 2),
            (2 * FRAGMENT_LENGTH + 1, 3),
        ] {
            let sealed = seal("hush", &text(length)).unwrap();
            assert_eq!(sealed.len(), SALT_LENGTH + 1 + NONCE_LENGTH + length + fragments * TAG_LENGTH, "{length}");
            assert_eq!(open("hush", &sealed).unwrap(), text(length), "{length}");
        }
    }

    #[test]
    fn what_was_changed_or_cut_is_not_opened() {
        let sealed = seal("hush", &text(FRAGMENT_LENGTH + 1)).unwrap();
        for place in [0, SALT_LENGTH + 1, SALT_LENGTH + 1 + NONCE_LENGTH, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open("hush", &changed).is_none(), "byte {place}");
        }
        let without_last = &sealed[..SALT_LENGTH + 1 + NONCE_LENGTH + FRAGMENT_LENGTH + TAG_LENGTH];
        assert!(open("hush", without_last).is_none());
    }

    /// Made by `sio-go` 0.3.1, the library of MinIO's client and server.
    #[test]
    fn what_minio_seals_is_opened() {
        let hex = "de2dd884209ccfae3f02a028310c97be401667425ed30c5f3ff0324a0a0b59db02385176597e\
                   b971eef795ed2300623c9745a2328ff03dd16082208b1726026ce917c6367450335ffda9979d8f";
        let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        let sealed: Vec<_> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        assert_eq!(open("hush-hush", &sealed).unwrap(), br#"{"status":"enabled"}"#);
    }
}
