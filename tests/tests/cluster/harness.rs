//! A user with a home of their own, namespaces that end with the test, and images on the node.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use datalake_tests::package_folder;
use serde_json::Value;
use tempfile::TempDir;

const MINIO: &str = "localhost/minio-for-tests:1";
const VERSITYGW: &str = "localhost/versitygw-for-tests:1";

/// Somebody at the command line, in a folder of their own, without settings of whoever runs the tests.
pub(crate) struct User {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// The same with a variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// A file of this user.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where `setup-datalake` keeps what it knows.
    pub(crate) fn profile(&self) -> PathBuf {
        self.path(".config/datalake/config.toml")
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::var_os("DATALAKE_CLI").expect("DATALAKE_CLI names the program");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.home.path()).stdin(Stdio::null());
        command.env("HOME", self.home.path());
        let foreign = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("AWS_") || name.starts_with("DATALAKE_") || name == "XDG_CONFIG_HOME"
        });
        for name in foreign {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap(), arguments)
    }

    /// Runs the program, which must succeed, and gives what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    }

    /// Runs the program, which must succeed, and gives the JSON that it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [&["--output", "json"], arguments].concat();
        serde_json::from_str(&self.ok(&arguments)).unwrap()
    }

    /// Runs the program, which must fail with this exit code and say these words.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "`{word}` is missing: {ran:?}");
        }
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran.stderr
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    #[expect(dead_code, reason = "shown where an assertion fails")]
    arguments: Vec<String>,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output, arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A name for a namespace of this test alone, two ports of the node, and a volume. All that is of the name is removed at
/// the end.
pub(crate) struct Place {
    pub(crate) namespace: String,
    port: u16,
}

impl Place {
    /// Nothing of it is made yet.
    pub(crate) fn new(test: &str) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = u16::try_from(std::process::id() % 400).unwrap();
        Self { namespace: format!("test-{test}-{}", std::process::id()), port: 31000 + process * 4 + 2 * number % 1000 }
    }

    /// Makes the volume that the store's claim in this place will take, and no other one.
    pub(crate) fn with_volume(self, size: &str) -> Self {
        kube(&["volume", &self.namespace, size, &format!("{}/datalake-store", self.namespace)]);
        self
    }

    /// Makes the namespace, with these labels.
    pub(crate) fn with_namespace(self, labels: &[&str]) -> Self {
        kubectl(&["create", "namespace", &self.namespace]);
        if !labels.is_empty() {
            kubectl(&[&["label", "namespace", &self.namespace], labels].concat());
        }
        self
    }

    /// The argument that opens the store at ports of its own.
    pub(crate) fn node_ports(&self) -> String {
        format!("--node-ports={},{}", self.port, self.port + 1)
    }

    /// kubectl within the namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(&[&["--namespace", &self.namespace], arguments].concat())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What a test has left must not be in the way of the next.
        let remove = |kind: &str, name: &str| {
            let arguments = ["kubectl", "delete", kind, name, "--ignore-not-found", "--timeout=60s"];
            let _ = script().args(arguments).output();
        };
        remove("namespace", &self.namespace);
        remove("persistentvolume", &self.namespace);
    }
}

/// Runs kubectl as the administrator; what it prints.
pub(crate) fn kubectl(arguments: &[&str]) -> String {
    kube(&[&["kubectl"], arguments].concat())
}

/// Has kubectl read this text, such as by `apply -f -`.
pub(crate) fn kubectl_reads(text: &str, arguments: &[&str]) -> Ran {
    let mut command = script();
    command.arg("kubectl").args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Ran::of(&child.wait_with_output().unwrap(), arguments)
}

/// Runs `kube.sh`; what it prints.
pub(crate) fn kube(arguments: &[&str]) -> String {
    let ran = Ran::of(&script().args(arguments).stdin(Stdio::null()).output().unwrap(), arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

/// `kube.sh`, with nothing to do yet.
pub(crate) fn script() -> Command {
    Command::new(package_folder().join("kube.sh"))
}

/// Brings the image of MinIO to the node, once for all tests.
pub(crate) fn load_minio() -> &'static str {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| load("minio", MINIO));
    MINIO
}

/// Brings the image of versitygw to the node.
pub(crate) fn load_versitygw() -> &'static str {
    load("versitygw", VERSITYGW);
    VERSITYGW
}

/// Brings the image of the program itself to the node, once for all tests.
pub(crate) fn load_own() -> &'static str {
    static LOADED: OnceLock<String> = OnceLock::new();
    LOADED.get_or_init(|| {
        let user = User::new();
        let archive = user.path("image.tar");
        let saved = user.json(&["image", "save", archive.to_str().unwrap()]);
        kube(&["load", archive.to_str().unwrap()]);
        saved["name"].as_str().unwrap().to_owned()
    })
}

/// Brings an image with Python and scikit-learn to the node, which takes minutes where it is not made yet.
pub(crate) fn load_python() -> String {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("python.tar");
    let script = || Command::new(package_folder().join("python-image.sh"));
    let made = script().arg(&archive).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    kube(&["load", archive.to_str().unwrap()]);
    String::from_utf8(script().arg("name").output().unwrap().stdout).unwrap().trim().to_owned()
}

/// Builds a server, packs it into an image, and brings that to the node.
fn load(server: &str, image: &str) {
    let built = Command::new(package_folder().join(format!("{server}.sh"))).arg("static").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let program = String::from_utf8(built.stdout).unwrap();
    let user = User::new();
    let archive = user.path("image.tar");
    let (archive, entrypoint) = (archive.to_str().unwrap(), format!("/{server}"));
    user.ok(&["image", "pack", "--name", image, "--entrypoint", &entrypoint, "-o", archive, program.trim()]);
    kube(&["load", archive]);
}

/// A file's text.
pub(crate) fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
