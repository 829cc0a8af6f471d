//! A store that is there already, and the key to it that the environment names.

use super::super::store::Key;
use super::settings::SetupSettings;
use crate::error::{Error, ErrorKind, Result};

/// Never with the endpoint: it is not checked yet, and there may be a password in it.
const SUBJECT: &str = "a lake in a store that is there already";

impl SetupSettings {
    /// [`external`](Self::external) with the key of `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and the region of
    /// `AWS_REGION`.
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) where no key is named; [`Invalid`](ErrorKind::Invalid) for one that does not last.
    pub fn external_by(endpoint: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let needed = |name: &str| {
            variable(name).ok_or_else(|| {
                Error::new(ErrorKind::Denied, "set up", SUBJECT)
                    .with_reason(format_args!("{name} is not set"))
                    .with_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to the key that Jobs are to have")
            })
        };
        Self::check_key_lasts(variable)?;
        let (access_key_id, secret_access_key) = (needed("AWS_ACCESS_KEY_ID")?, needed("AWS_SECRET_ACCESS_KEY")?);
        Ok(Self::external(endpoint, Key { access_key_id, secret_access_key }, variable("AWS_REGION")))
    }

    /// Sees whether the key that these variables name lasts.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) where it comes with a token.
    pub fn check_key_lasts(variable: &dyn Fn(&str) -> Option<String>) -> Result<()> {
        if variable("AWS_SESSION_TOKEN").is_none() {
            return Ok(());
        }
        Err(Error::invalid("set up", SUBJECT)
            .with_reason("AWS_SESSION_TOKEN is set: its key ends soon, and Jobs would fail from then on")
            .with_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that lasts, and no token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_that_of_the_environment_and_has_to_last() {
        let with = |set: &[&str]| {
            let variable = |name: &str| set.contains(&name).then(|| format!("of {name}"));
            SetupSettings::external_by("https://me:hush@h", &variable)
        };
        let key = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        with(&key).unwrap();
        let (missing, short) = (with(&key[..1]), with(&[key[0], key[1], "AWS_SESSION_TOKEN"]));
        for (refused, kind) in [(missing, ErrorKind::Denied), (short, ErrorKind::Invalid)] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
    }
}
