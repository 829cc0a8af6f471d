//! Endpoint, region and credentials of an S3 lake: from its URL, the environment and the AWS files.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::PathBuf;

use object_store::aws::AwsCredential;
use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// The region that is assumed where nothing says another; S3-compatible servers do not care.
const DEFAULT_REGION: &str = "us-east-1";
/// Where the AWS files are searched for keys that mean credentials of a kind that is not static.
const OTHER_KINDS: [&str; 6] =
    ["role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file", "login_session"];
/// Variables that mean credentials of a kind that is not static.
const OTHER_VARIABLES: [&str; 3] =
    ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// All that is needed to speak to an endpoint.
#[derive(Debug)]
pub(super) struct Settings {
    /// Scheme, host and port, without a slash at the end.
    pub(super) endpoint: String,
    pub(super) region: String,
    /// Its `Debug` hides the secrets.
    pub(super) credential: AwsCredential,
}

/// The environment's variables, by name.
pub(super) trait Environment: Fn(&str) -> Option<String> {}
impl<F: Fn(&str) -> Option<String>> Environment for F {}

impl Settings {
    pub(super) fn resolve(url: &str, environment: &impl Environment) -> Result<Self> {
        let profile = Profile::load(environment)?;
        let region = environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION"));
        let region = region.or_else(|| profile.get("region").map(ToOwned::to_owned));
        let (endpoint, own_region) = if is_default(url) {
            let named = environment("AWS_ENDPOINT_URL_S3").or_else(|| environment("AWS_ENDPOINT_URL"));
            let aws = || format!("https://s3.{}.amazonaws.com", region.as_deref().unwrap_or(DEFAULT_REGION));
            endpoint(&named.unwrap_or_else(aws))?
        } else {
            endpoint(url)?
        };
        // A host that names its region knows better than a variable that is meant for something else.
        let region = own_region.or(region).unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let credential = credential(&profile, &endpoint, environment)?;
        Ok(Self { endpoint, region, credential })
    }

    /// Whether this is Amazon's own S3, which wants to hear the region when a bucket is made.
    pub(super) fn is_aws(&self) -> bool {
        host_of(&self.endpoint).is_some_and(|host| is_aws(&host))
    }
}

/// The endpoint that a URL names by itself.
#[cfg(feature = "k8s")]
pub(crate) fn endpoint_of(url: &str) -> Result<String> {
    endpoint(url).map(|(endpoint, _)| endpoint)
}

fn is_default(url: &str) -> bool {
    matches!(url.to_ascii_lowercase().as_str(), "s3:" | "s3://")
}

fn host_of(endpoint: &str) -> Option<String> {
    Url::parse(endpoint).ok()?.host_str().map(ToOwned::to_owned)
}

fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// The endpoint of a URL, and the region that its host names.
fn endpoint(text: &str) -> Result<(String, Option<String>)> {
    // Never repeats the text: there may be a password in it.
    let invalid = |reason: &str| Error::invalid("open", "the lake").with_reason(reason);
    let url = Url::parse(text).map_err(|cause| invalid("its URL cannot be read").with_source(cause))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("there are credentials in its URL")
            .with_hint("leave them out of the URL, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    }
    let host = match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) => host,
        ("s3", _) => {
            return Err(invalid("`s3://` names no endpoint").with_hint(
                "write s3: for the endpoint of AWS_ENDPOINT_URL and AWS_REGION, and buckets as BUCKET/KEY",
            ));
        }
        _ => return Err(invalid("its URL is not one of http or https")),
    };
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("there is something after the host in its URL")
            .with_hint("name the endpoint only, such as http://127.0.0.1:9000; buckets are written BUCKET/KEY"));
    }
    Ok((url.origin().ascii_serialization(), region_of(host)))
}

/// `eu-central-1` of `s3.eu-central-1.amazonaws.com`, also with `dualstack.` before it.
fn region_of(host: &str) -> Option<String> {
    let name = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let region = name.strip_prefix("s3.")?;
    Some(region.strip_prefix("dualstack.").unwrap_or(region).to_owned())
}

fn credential(profile: &Profile, endpoint: &str, environment: &impl Environment) -> Result<AwsCredential> {
    let token = environment("AWS_SESSION_TOKEN");
    match (environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY")) {
        (Some(key_id), Some(secret_key)) => return Ok(AwsCredential { key_id, secret_key, token }),
        (Some(_), None) => return Err(half(endpoint, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => return Err(half(endpoint, "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        (None, None) => {}
    }
    if let Some(credential) = profile.credential(endpoint)? {
        return Ok(credential);
    }
    if let Some(variable) = OTHER_VARIABLES.iter().find(|name| environment(name).is_some()) {
        return Err(Error::new(ErrorKind::Unsupported, "open", endpoint)
            .with_reason(format_args!("{variable} asks for credentials that are not static"))
            .with_hint("set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"));
    }
    Err(Error::new(ErrorKind::Denied, "open", endpoint)
        .with_reason("there are no credentials")
        .with_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile with static keys"))
}

fn half(endpoint: &str, set: &str, unset: &str) -> Error {
    Error::invalid("open", endpoint).with_reason(format_args!("{set} is set, {unset} is not")).with_hint("set both")
}

/// The settings of one profile in the AWS files.
struct Profile {
    name: String,
    values: BTreeMap<String, String>,
}

impl Profile {
    fn load(environment: &impl Environment) -> Result<Self> {
        let chosen = environment("AWS_PROFILE");
        let name = chosen.clone().unwrap_or_else(|| "default".to_owned());
        let home = environment("HOME").map(|home| PathBuf::from(home).join(".aws"));
        let file = |variable: &str, name: &str| {
            environment(variable).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(name)))
        };
        let config = read(file("AWS_CONFIG_FILE", "config"))?;
        let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?;
        let section = if name == "default" { name.clone() } else { format!("profile {name}") };
        let found = [(&config, &section), (&credentials, &name)].map(|(text, section)| values(text, section));
        if chosen.is_some() && found.iter().all(Option::is_none) {
            return Err(Error::not_found("use", format_args!("the AWS profile `{name}`"))
                .with_reason("neither the config nor the credentials file has it")
                .with_hint("correct AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        }
        // Both files may describe a profile; for keys, the credentials file has the last word.
        Ok(Self { name, values: found.into_iter().flatten().flatten().collect() })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    fn credential(&self, endpoint: &str) -> Result<Option<AwsCredential>> {
        let own = |key: &str| self.get(key).map(ToOwned::to_owned);
        if let (Some(key_id), Some(secret_key)) = (own("aws_access_key_id"), own("aws_secret_access_key")) {
            return Ok(Some(AwsCredential { key_id, secret_key, token: own("aws_session_token") }));
        }
        match OTHER_KINDS.iter().find(|key| self.values.contains_key(**key)) {
            Some(key) => Err(Error::new(ErrorKind::Unsupported, "open", endpoint)
                .with_reason(format_args!("the AWS profile `{}` has no static keys but `{key}`", self.name))
                .with_hint("set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN")),
            None => Ok(None),
        }
    }
}

fn read(path: Option<PathBuf>) -> Result<String> {
    let Some(path) = path else { return Ok(String::new()) };
    match fs::read_to_string(&path) {
        Err(cause) if matches!(cause.kind(), Io::NotFound | Io::NotADirectory) => Ok(String::new()),
        done => done.map_err(|cause| Error::io("read", path.display(), cause)),
    }
}

/// The `key = value` lines below `[section]`; None without such a section.
fn values(text: &str, section: &str) -> Option<BTreeMap<String, String>> {
    let mut found = None;
    let mut inside = false;
    for line in text.lines() {
        // What is indented belongs to a nested setting, of which none matters here.
        let nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.split_whitespace().eq(section.split_whitespace());
            if inside {
                found.get_or_insert_default();
            }
        } else if let (true, false, Some((key, value))) = (inside, nested, line.split_once('='))
            && !line.starts_with(['#', ';'])
        {
            let values: &mut BTreeMap<_, _> = found.get_or_insert_default();
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hush")];

    fn environment(variables: &[(&str, &str)]) -> impl Environment + use<> {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name: &str| variables.get(name).cloned()
    }

    fn resolve(url: &str, variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::resolve(url, &environment(&[&KEYS[..], variables].concat()))
    }

    #[test]
    fn a_host_names_its_region() {
        let settings = resolve("https://s3.eu-central-1.amazonaws.com/", &[("AWS_REGION", "us-west-2")]).unwrap();
        assert_eq!(settings.region, "eu-central-1");
        assert_eq!(settings.endpoint, "https://s3.eu-central-1.amazonaws.com");
        assert!(settings.is_aws());
        let other = resolve("http://127.0.0.1:9000", &[("AWS_DEFAULT_REGION", "us-west-2")]).unwrap();
        assert_eq!((other.region.as_str(), other.is_aws()), ("us-west-2", false));
    }

    #[test]
    fn s3_alone_asks_the_environment() {
        assert_eq!(resolve("s3:", &[]).unwrap().endpoint, "https://s3.us-east-1.amazonaws.com");
        let named = [("AWS_ENDPOINT_URL", "http://h:1"), ("AWS_REGION", "r")];
        assert_eq!(resolve("s3:", &named).unwrap().endpoint, "http://h:1");
    }

    #[test]
    fn a_url_holds_neither_secrets_nor_buckets() {
        let error = resolve("http://user:hush@host", &[]).unwrap_err();
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        for url in ["http://host/bucket", "s3://bucket", "http://", "http://host?a"] {
            assert_eq!(resolve(url, &[]).unwrap_err().kind(), ErrorKind::Invalid, "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", resolve("http://host", &[]).unwrap()).contains("hush"));
    }

    fn with_files(credentials: &str, config: &str, variables: &[(&str, &str)]) -> Result<Settings> {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        let home = home.path().to_str().unwrap();
        Settings::resolve("http://host", &environment(&[&[("HOME", home)], variables].concat()))
    }

    #[test]
    fn a_profile_gives_static_keys_and_a_region() {
        let credentials = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n\n# comment\n[ work ]\n\
            aws_access_key_id = c\naws_secret_access_key = d=\naws_session_token = t\n";
        let config = "[default]\nregion = r1\n[profile work]\nregion = r2\ns3 =\n  region = no\n";
        let settings = with_files(credentials, config, &[]).unwrap();
        assert_eq!((settings.credential.key_id.as_str(), settings.region.as_str()), ("a", "r1"));
        let settings = with_files(credentials, config, &[("AWS_PROFILE", "work")]).unwrap();
        assert_eq!((settings.credential.secret_key.as_str(), settings.region.as_str()), ("d=", "r2"));
        assert_eq!(settings.credential.token.as_deref(), Some("t"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let missing = with_files("", "", &[("AWS_PROFILE", "nobody")]).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(with_files("", "", &[]).unwrap_err().kind(), ErrorKind::Denied);
        let half = with_files("", "", &[("AWS_ACCESS_KEY_ID", "a")]).unwrap_err();
        assert!(half.to_string().contains("AWS_SECRET_ACCESS_KEY is not"), "{half}");
    }

    #[test]
    fn other_kinds_of_credentials_are_unsupported() {
        let role = with_files("", "[default]\nrole_arn = arn:aws:iam::1:role/x\n", &[]).unwrap_err();
        assert_eq!(role.kind(), ErrorKind::Unsupported);
        assert!(role.to_string().contains("role_arn"), "{role}");
        let web = with_files("", "", &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")]).unwrap_err();
        assert_eq!(web.kind(), ErrorKind::Unsupported);
    }
}
