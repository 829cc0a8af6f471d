//! A registry of container images on loopback, ended with the value.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// What `registry.sh` says where no registry can be built.
const NO_TOOLCHAIN: i32 = 3;

/// An empty registry; see `tests/registry.sh`.
pub(crate) struct Registry {
    variables: BTreeMap<String, String>,
    folder: TempDir,
}

impl Registry {
    /// Starts one, which is built first if need be. `None`, and a loud line, on a machine without Go.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let owner = std::process::id().to_string();
        let output = script(&["start".as_ref(), folder.path().as_os_str(), owner.as_ref()]);
        if output.status.code() == Some(NO_TOOLCHAIN) {
            let line = "SKIPPED: this test needs a registry, which needs Go to be built";
            // The test harness captures `eprintln!`, not the stream beneath.
            let _ = writeln!(std::io::stderr(), "{line}");
            eprintln!("{line}");
            return None;
        }
        let (text, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "registry.sh start: {complaint}");
        let variables = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { variables, folder })
    }

    /// An image's whole name in this registry.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.variables["DATALAKE_REGISTRY"])
    }

    /// What another client of registries says, which must succeed.
    pub(crate) fn crane(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(&self.variables["CRANE"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "crane {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// How many requests of this kind, such as `PUT /v2/x/blobs`, there were.
    pub(crate) fn requests(&self, kind: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains(&format!(" {kind}"))).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        script(&["stop".as_ref(), self.variables["REGISTRY_PID"].as_ref()]);
    }
}

fn script(arguments: &[&OsStr]) -> Output {
    // As cargo names it to a running test: one in a build cache that clones share may have been compiled from another.
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    Command::new(package.join("../tests/registry.sh")).args(arguments).output().unwrap()
}
