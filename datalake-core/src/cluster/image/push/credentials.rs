//! How a registry knows who pushes: a user and a password, as `docker`, `podman` and `crane` keep them.

use std::env;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;

use super::destination::Destination;
use crate::error::{Error, ErrorKind, Result};

/// Who pushes. What is secret is not shown by `Debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials(RegistryAuth);

impl Credentials {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(RegistryAuth::Anonymous)
    }

    /// A user with a password, or with a token that stands for one.
    #[must_use]
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(RegistryAuth::Basic(user.into(), password.into()))
    }

    /// Those that `docker login`, `podman login` or `crane auth login` have left for the registry of an image's name;
    /// anonymous ones where there are none.
    ///
    /// They are looked for in `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, then in `$REGISTRY_AUTH_FILE` or
    /// `$XDG_RUNTIME_DIR/containers/auth.json` and `~/.config/containers/auth.json`, and asked of the credential helpers
    /// that these files name.
    ///
    /// ```no_run
    /// # async fn example() -> datalake_core::Result<()> {
    /// use datalake_core::cluster::image::Credentials;
    ///
    /// let credentials = Credentials::find("registry.local/datalake:1.0").await?;
    /// # let _ = credentials;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that cannot be pushed to, and a file that cannot be understood;
    /// [`Denied`](crate::ErrorKind::Denied) where a credential helper fails; [`Unsupported`](crate::ErrorKind::Unsupported)
    /// for an identity token; as the file system has them.
    pub async fn find(reference: &str) -> Result<Self> {
        let registry = Destination::parse(reference)?.registry().to_owned();
        let files = files(|variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from));
        // A credential helper may ask somebody.
        let found = tokio::task::spawn_blocking(move || look(&registry, &files)).await;
        found.map_err(|cause| Error::internal("look for", "credentials").with_source(cause))?
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.0 == RegistryAuth::Anonymous
    }

    pub(super) fn auth(&self) -> &RegistryAuth {
        &self.0
    }
}

/// The files that credentials may be in, the first ones first.
fn files(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let home = |path: &str| variable("HOME").map(|home| home.join(path));
    let docker = variable("DOCKER_CONFIG").or_else(|| home(".docker")).map(|folder| folder.join("config.json"));
    let podman = variable("REGISTRY_AUTH_FILE")
        .or_else(|| variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")));
    [docker, podman, home(".config/containers/auth.json")].into_iter().flatten().collect()
}

fn look(registry: &str, files: &[PathBuf]) -> Result<Credentials> {
    for file in files {
        if let Some(found) = look_in(registry, file)? {
            return Ok(found);
        }
    }
    Ok(Credentials::anonymous())
}

fn look_in(registry: &str, file: &Path) -> Result<Option<Credentials>> {
    let subject = || format!("the credentials for `{registry}` in {}", file.display());
    let content = match fs::read(file) {
        Ok(content) => content,
        Err(cause) if matches!(cause.kind(), Io::NotFound | Io::NotADirectory) => return Ok(None),
        Err(cause) => return Err(Error::io("read", subject(), cause)),
    };
    // What all tools call Docker Hub in these files.
    let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    let log_in = format!("log in anew: docker login {registry}, or crane auth login {registry}");
    let failed = |kind, reason: &str| Err(Error::new(kind, "read", subject()).with_reason(reason).with_hint(&log_in));
    match get_credential_from_reader(&*content, server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Some(Credentials::password(user, password))),
        Ok(DockerCredential::IdentityToken(_)) => {
            failed(ErrorKind::Unsupported, "they are an identity token, and a user with a password is needed")
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // The words of all helpers for credentials that they do not have.
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if [&stdout, &stderr].iter().any(|said| said.contains("credentials not found")) =>
        {
            Ok(None)
        }
        // What it has said stays untold: it could be a secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            failed(ErrorKind::Denied, &format!("`{helper}` gives none"))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            failed(ErrorKind::Denied, "the credential helper that the file names cannot be run")
        }
        Err(CredentialRetrievalError::MalformedHelperResponse) => {
            failed(ErrorKind::Invalid, "the answer of the credential helper that the file names cannot be understood")
        }
        Err(_) => failed(ErrorKind::Invalid, "they cannot be understood"),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// `user:secret`, as the files have it.
    const AUTH: &str = "dXNlcjpzZWNyZXQ=";

    fn config(content: &str) -> (TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, content).unwrap();
        (folder, vec![file])
    }

    fn found(registry: &str, content: &str) -> Result<Credentials> {
        look(registry, &config(content).1)
    }

    #[test]
    fn files_are_those_of_docker_then_of_podman() {
        let with = |set: &[(&str, &str)]| {
            let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            files(variable).iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(with(&[("HOME", "/h")]), ["/h/.docker/config.json", "/h/.config/containers/auth.json"]);
        assert_eq!(
            with(&[("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/x")]),
            ["/d/config.json", "/x/containers/auth.json"]
        );
        assert_eq!(with(&[("REGISTRY_AUTH_FILE", "/a.json"), ("XDG_RUNTIME_DIR", "/x")]), ["/a.json"]);
        assert!(with(&[]).is_empty());
    }

    #[test]
    fn a_password_is_found_and_not_shown() {
        let (_kept, files) = config(&format!(r#"{{"auths": {{"registry.local:5000": {{"auth": "{AUTH}"}}}}}}"#));
        let credentials = look("registry.local:5000", &files).unwrap();
        assert_eq!(credentials, Credentials::password("user", "secret"));
        assert!(!format!("{credentials:?}").contains("secret"));
        assert!(look("registry.local", &files).unwrap().is_anonymous());
        // The first file that has some.
        let (_other, others) = config("{}");
        assert_eq!(look("registry.local:5000", &[others[0].clone(), files[0].clone()]).unwrap(), credentials);
    }

    #[test]
    fn docker_hub_goes_by_its_old_name() {
        let content = format!(r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{AUTH}"}}}}}}"#);
        assert_eq!(found("docker.io", &content).unwrap(), Credentials::password("user", "secret"));
    }

    #[test]
    fn where_nothing_is_found_nobody_pushes() {
        assert!(look("registry.local", &["/nowhere/config.json".into()]).unwrap().is_anonymous());
        for content in ["{}", r#"{"auths": {}}"#, r#"{"auths": {"registry.local": {}}}"#, r#"{"psFormat": "x"}"#] {
            assert!(found("registry.local", content).unwrap().is_anonymous(), "{content}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_secret() {
        let cases = [
            ("not JSON", ErrorKind::Invalid),
            (r#"{"auths": {"registry.local": {"auth": "c2VjcmV0"}}}"#, ErrorKind::Invalid),
            (r#"{"auths": {"registry.local": {"identitytoken": "secret"}}}"#, ErrorKind::Unsupported),
            (r#"{"credHelpers": {"registry.local": "datalake-none"}}"#, ErrorKind::Denied),
        ];
        for (content, kind) in cases {
            let error = found("registry.local", content).unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.to_string().contains("registry.local") && error.to_string().contains("config.json"));
            assert!(error.hint().unwrap().contains("docker login registry.local"), "{error:?}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
