//! A key of an object store: made by chance, and never shown.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};

/// What every server takes as an access key.
const ID_CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// Letters and digits alone: a secret is pasted into shells and URLs, where a `-` at its beginning is an option.
const SECRET_CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// As long as Amazon's.
const ID_LENGTH: usize = 20;
/// As long as Amazon's: 238 bits of chance.
const SECRET_LENGTH: usize = 40;

/// An access key and its secret. `Debug` hides the secret.
#[derive(Clone)]
pub struct Key {
    /// The name of the key, which is no secret.
    pub access_key_id: String,
    /// What signs requests, which nobody else may see.
    pub secret_access_key: String,
}

impl Key {
    /// A new key that nobody can guess, in a form that MinIO and versitygw take: 20 characters of `A-Z` and `0-9`,
    /// and a secret of 40 letters and digits.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the operating system gives no random numbers.
    ///
    /// ```
    /// use datalake_core::cluster::store::Key;
    ///
    /// let key = Key::generate()?;
    /// assert_eq!((key.access_key_id.len(), key.secret_access_key.len()), (20, 40));
    /// assert!(!format!("{key:?}").contains(&key.secret_access_key));
    /// # Ok::<(), datalake_core::Error>(())
    /// ```
    pub fn generate() -> Result<Self> {
        let random = SystemRandom::new();
        Ok(Self {
            access_key_id: draw(&random, ID_CHARACTERS, ID_LENGTH)?,
            secret_access_key: draw(&random, SECRET_CHARACTERS, SECRET_LENGTH)?,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Characters by chance, each as likely as any other.
fn draw(random: &dyn SecureRandom, characters: &[u8], length: usize) -> Result<String> {
    // Bytes beyond the last whole multiple would make the first characters more likely.
    let fair = 256 / characters.len() * characters.len();
    let mut drawn = String::with_capacity(length);
    let mut bytes = [0; 64];
    while drawn.len() < length {
        fill(random, &mut bytes)?;
        let fit = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        drawn.extend(fit.take(length - drawn.len()).map(|byte| char::from(characters[byte % characters.len()])));
    }
    Ok(drawn)
}

/// Bytes by chance.
pub(super) fn fill(random: &dyn SecureRandom, bytes: &mut [u8]) -> Result<()> {
    random
        .fill(bytes)
        .map_err(|_| Error::internal("draw", "a key").with_reason("the operating system gives no random numbers"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_have_the_form_that_servers_take_and_differ() {
        let keys: Vec<_> = (0..100).map(|_| Key::generate().unwrap()).collect();
        for key in &keys {
            assert!(key.access_key_id.len() == 20 && key.access_key_id.bytes().all(|b| ID_CHARACTERS.contains(&b)));
            assert!(key.secret_access_key.len() == 40);
            assert!(key.secret_access_key.bytes().all(|b| SECRET_CHARACTERS.contains(&b)));
        }
        let distinct: BTreeSet<_> = keys.iter().flat_map(|key| [&key.access_key_id, &key.secret_access_key]).collect();
        assert_eq!(distinct.len(), 200);
    }

    #[test]
    fn every_character_is_drawn() {
        for characters in [ID_CHARACTERS, SECRET_CHARACTERS] {
            let drawn = draw(&SystemRandom::new(), characters, 10_000).unwrap();
            assert_eq!(drawn.bytes().collect::<BTreeSet<_>>().len(), characters.len());
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        let key = Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() };
        assert_eq!(format!("{key:?}"), "Key { access_key_id: \"ID\", .. }");
    }
}
