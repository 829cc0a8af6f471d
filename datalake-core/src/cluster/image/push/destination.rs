//! Where an image is pushed to: registry, repository and tag, all of them said.

use oci_spec::distribution::Reference;

use crate::error::{Error, Result};

const HINT: &str = "write it as REGISTRY/REPOSITORY:TAG, such as registry.local/datalake:1.0";

/// What a name such as `registry.local/datalake:1.0` leads to.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    pub(super) reference: Reference,
    /// Whether the registry is on this machine, which is where plain HTTP is spoken.
    pub(super) is_local: bool,
}

impl Destination {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::invalid("push to", format_args!("`{text}`")).with_hint(HINT);
        // The grammar knows no addresses of IPv6.
        let readable = text.strip_prefix("[::1]").map(|rest| format!("localhost{rest}"));
        let parsed = readable.as_deref().unwrap_or(text).parse();
        let mut reference: Reference = parsed.map_err(|cause| invalid().with_source(cause))?;
        if reference.digest().is_some() {
            return Err(invalid().with_reason("a digest follows from what the image holds, and cannot be chosen"));
        }
        // Without a registry the name would mean the public one, which nobody should push to by mistake.
        let Some((registry, rest)) = text.split_once('/').filter(|(registry, _)| is_registry(registry)) else {
            return Err(invalid().with_reason("it does not say which registry"));
        };
        // It would be `latest` else, which clusters ask for at every start.
        let Some((_, tag)) = rest.rsplit_once(':') else {
            return Err(invalid().with_reason("it has no tag"));
        };
        if readable.is_some() {
            let repository = reference.repository().to_owned();
            reference = Reference::with_tag(registry.to_owned(), repository, tag.to_owned());
        }
        let is_local = is_local(reference.registry());
        Ok(Self { reference, is_local })
    }

    pub(super) fn registry(&self) -> &str {
        self.reference.registry()
    }
}

/// Whether the first part of a name is that of a registry, by the rule that Docker has for it.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn is_local(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, bool) {
        let destination = Destination::parse(text).unwrap();
        (destination.reference.whole(), destination.is_local)
    }

    #[test]
    fn a_name_has_registry_repository_and_tag() {
        for name in ["registry.local/datalake:1.0", "registry.local:5000/team/datalake:v1", "docker.io/team/datalake:1"]
        {
            assert_eq!(parsed(name), (name.to_owned(), false));
        }
        for name in ["", "UPPER/x:1", "registry.local/a b:1", "registry.local/:1", "registry.local/x:", "[::1/x:1"] {
            let error = Destination::parse(name).unwrap_err();
            assert!(error.to_string().contains(&format!("`{name}`")) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn what_would_be_guessed_is_refused() {
        let reason = |name: &str| Destination::parse(name).unwrap_err().reason().unwrap().to_owned();
        for name in ["registry.local/datalake", "registry.local:5000/datalake", "[::1]:5000/datalake"] {
            assert_eq!(reason(name), "it has no tag", "{name}");
        }
        for name in ["datalake", "datalake:1.0", "team/datalake:1.0"] {
            assert_eq!(reason(name), "it does not say which registry", "{name}");
        }
        let digest = format!("sha256:{}", "0".repeat(64));
        for name in [format!("registry.local/x@{digest}"), format!("registry.local/x:1@{digest}")] {
            assert!(reason(&name).starts_with("a digest follows"), "{name}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for name in ["localhost/x:1", "localhost:5000/x:1", "127.0.0.1:5000/x:1", "[::1]:5000/team/x:1", "[::1]/x:1"] {
            assert_eq!(parsed(name), (name.to_owned(), true));
        }
        for name in ["localhost.evil.local/x:1", "127.0.0.2:5000/x:1", "10.127.0.0.1/x:1", "notlocalhost:80/x:1"] {
            assert_eq!(parsed(name), (name.to_owned(), false));
        }
    }
}
